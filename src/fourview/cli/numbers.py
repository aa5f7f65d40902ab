"""Whole numbers of options, refused as usage where they are too small."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

Some = Annotated[int, Parameter(validator=Number(gte=1))]
SomeOrNone = Annotated[int, Parameter(validator=Number(gte=0))]
Workers = Annotated[int | None, Parameter(validator=Number(gte=0))]  # None: as many as pay off
