from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("api", "0002_idempotency_keys")]

    operations = [
        migrations.CreateModel(
            name="ChoreRun",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("began_at", models.DateTimeField(null=True)),
            ],
        ),
    ]
