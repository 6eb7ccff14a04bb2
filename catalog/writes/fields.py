"""DRF fields that use the rules of values.py, and those rules' error sentences and codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import empty
from rest_framework.settings import api_settings

from catalog.models import Product
from catalog.writes.values import (
    STATUS,
    Address,
    BadMembers,
    BadValue,
    Currency,
    List,
    Number,
    Slug,
    Text,
    Texts,
    Whole,
)

if TYPE_CHECKING:
    Base = serializers.Field[Any, Any, Any, Any]
else:
    Base = object


@contextmanager
def refuse_by_drf(given: Any) -> Iterator[None]:
    """Turns BadValue and BadMembers into DRF's ValidationError, which a serializer collects by member."""
    try:
        yield
    except BadValue as error:
        raise ValidationError(write_error(given, error)) from None
    except BadMembers as error:
        raise ValidationError({name: write_error(*bad) for name, bad in error.members.items()}) from None


def write_error(given: Any, error: BadValue) -> list[ErrorDetail]:
    return [ErrorDetail(f"{error.tell(given)}.", error.code)]


class RuleField(Base):
    """A field that reads by `rule`. The limits of DRF's parent class are only for the OpenAPI schema."""

    rule: Any
    default_error_messages = {"null": "null is not allowed here; give a value, or leave the member out."}

    def run_validation(self, data: Any = empty) -> Any:
        is_done, data = self.validate_empty_values(data)
        if is_done:
            return data
        with refuse_by_drf(data):
            return self.rule.read(data)


class TextField(RuleField, serializers.CharField):
    def __init__(self, rule: Text, **options: Any) -> None:
        self.rule = rule
        super().__init__(max_length=rule.most, allow_blank=not rule.needed, **options)


class SlugField(RuleField, serializers.SlugField):
    def __init__(self, rule: Slug, **options: Any) -> None:
        self.rule = rule
        super().__init__(max_length=rule.most, allow_unicode=True, **options)


class CurrencyField(RuleField, serializers.RegexField):
    def __init__(self, rule: Currency, **options: Any) -> None:
        self.rule = rule
        super().__init__(rule.pattern, **options)


class AddressField(RuleField, serializers.CharField):
    def __init__(self, rule: Address, **options: Any) -> None:
        self.rule = rule
        super().__init__(max_length=rule.most, **options)


class StatusField(RuleField, serializers.ChoiceField):
    rule = STATUS

    def __init__(self, **options: Any) -> None:
        super().__init__(Product.Status.choices, **options)


class NumberField(RuleField, serializers.DecimalField):
    def __init__(self, rule: Number, **options: Any) -> None:
        self.rule = rule
        super().__init__(max_digits=rule.digits, decimal_places=2, min_value=0, max_value=rule.most, **options)


class WholeField(RuleField, serializers.IntegerField):
    def __init__(self, rule: Whole, **options: Any) -> None:
        self.rule = rule
        super().__init__(min_value=rule.least, max_value=rule.most, **options)


class ObjectField(RuleField, serializers.DictField):
    def __init__(self, rule: Any, **options: Any) -> None:
        self.rule = rule
        if isinstance(rule, Texts):
            options["child"] = TextField(rule.value)
        super().__init__(**options)


class PartList(serializers.ListSerializer[Any]):
    """The list of variants or images of one product."""

    def to_internal_value(self, data: Any) -> list[Any]:
        try:
            with refuse_by_drf(data):
                List(self.max_length or 0).read(data)  # type: ignore[attr-defined]  # the stubs don't know it
        except ValidationError as error:
            raise ValidationError({api_settings.NON_FIELD_ERRORS_KEY: error.detail}) from None
        return super().to_internal_value(data)
