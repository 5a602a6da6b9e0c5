"""The errors a user can meet. Each message says what was wrong, where, and what would be right.

LakehouseError
├── BadInput          a path, file, column or option that cannot be used as given
├── SchemaMismatch    columns that do not fit the table's declaration
├── NewerLake         the lake was written by a newer version of the code
├── LakeInUse         another job holds the local lake
├── JoinAuditFailed   a join lost, doubled or shifted rows
├── UnknownModel      a model URI that nothing answers to
├── ModelFailed       a model or its server that cannot answer anything: wrong key, unreachable, blind
├── BudgetReached     there is no room in the budget for another request
├── MissingPart       Java, a jar or an optional package is not there
└── StreamError       the trainer's side: releases, mixes, corrupt rows over quota
"""


class LakehouseError(Exception):
    """Anything that a user can mend; its text is the one line that they see."""


class BadInput(LakehouseError):
    """A path, file, column or option that cannot be used as given."""


class SchemaMismatch(LakehouseError):
    """Columns that do not fit the table's declaration."""


class NewerLake(LakehouseError):
    """The lake was written by a newer version of the code."""


class LakeInUse(LakehouseError):
    """Another job holds the local lake."""


class JoinAuditFailed(LakehouseError):
    """A join lost, doubled or shifted rows."""


class UnknownModel(LakehouseError):
    """A model URI that nothing answers to."""


class ModelFailed(LakehouseError):
    """A model or its server that cannot answer anything: asking on would be of no use."""


class BudgetReached(LakehouseError):
    """There is no room in the budget for another request."""


class MissingPart(LakehouseError):
    """Java, a jar or an optional package is not there."""


class StreamError(LakehouseError):
    """The trainer's side: an unknown release, an impossible mix, or corrupt rows over the quota."""
