"""How large a workflow's parts may be, and which names it may not use: the stricter where Argo's versions differ.

Comes in: nothing. Goes out: to the compiler, `fireworks.workflow.argo.budget` and the validator, which thus agree.
"""

__all__ = [
    "EXPRESSION_WORDS",
    "LIMIT_BYTES",
    "MAX_LOOP",
    "MAX_PODS_AT_ONCE",
    "MAX_TASKS",
    "MAX_TEMPLATES",
    "WARNING_BYTES",
]

# An object is refused by etcd from 1.4 MB on.
LIMIT_BYTES = 1_000_000
WARNING_BYTES = 256_000
# The full CRDs of Argo 4 allow 200 templates, and 200 tasks: we nest before.
MAX_TEMPLATES = 200
MAX_TASKS = 150
# Pods of one loop; more are several loops.
MAX_LOOP = 500
MAX_PODS_AT_ONCE = 100
# Argo evaluates `depends` by expr, to which these are no names: a workflow with such a task ends in Error, after its
# linter found nothing. All of expr 1.17.7 (parser/lexer/state.go, parser/parser.go); its functions' names are free.
EXPRESSION_WORDS = frozenset(
    {"true", "false", "nil", "not", "in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if"}
) | {"else"}
