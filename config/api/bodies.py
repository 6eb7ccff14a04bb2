"""A body in, checked values out: members that nobody reads are refused by name."""

from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.serializers import Serializer

from config.api.errors import suggest


class StrictSerializer[Instance](Serializer[Instance]):
    """A misspelt member would be dropped without a word, and the client would believe it stored."""

    def to_internal_value(self, data: Any) -> Any:
        known = [name for name, field in self.fields.items() if not field.read_only]
        unknown = [name for name in data if name not in known] if isinstance(data, dict) else []
        if unknown:
            raise ValidationError(
                {name: [ErrorDetail(f"Unknown member. {suggest(name, known)}", "unknown_member")] for name in unknown}
            )
        return super().to_internal_value(data)
