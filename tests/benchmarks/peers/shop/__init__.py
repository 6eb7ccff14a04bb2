"""One Django project for the peers that stand on Django: plain DRF, tuned DRF, django-ninja, django-bolt."""
