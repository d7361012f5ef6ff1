"""Dataclasses of settings: built from plain mappings, checked against the types and bounds of their fields.

A bound stands once, in the annotation of the field: `eta: Annotated[float, Bounds(at_least=0)] = 1.0`. `check`, called in
`__post_init__`, which `Checked` does, enforces it wherever the object is made: in Python, from YAML or from the command
line. What a field means stands once too, in the `Args:` of the class's docstring: `documented` reads it, for help and
reference pages.

Messages name fields as Python does. A field that a message mentions stands in `backticks`, so that a command line can put
its own name for it; the field that a `FieldError` is about is its attribute `field`.
"""

from .bounds import Bounds, FieldError, OneOf, dotted, prefix, refused, suggested
from .build import Checked, build, check, check_names, hints, parse, variants
from .plain import assign, flatten, json_values, override, plain, scalar
from .privacy import OMITTED, Privacy
from .registry import Joined, Registry
from .schema import default_of, documented, schema, schema_of
from .words import described, is_required

__all__ = [
    "OMITTED", "Bounds", "Checked", "FieldError", "Joined", "OneOf", "Privacy", "Registry", "assign", "build",
    "check", "check_names", "default_of", "described", "documented", "dotted", "flatten", "hints", "is_required",
    "json_values", "override", "parse", "plain", "prefix", "refused", "scalar", "schema", "schema_of",
    "suggested", "variants",
]
