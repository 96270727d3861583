"""All rules, each with what it asks for and how it is known that Argo needs it.

Comes in: nothing. Goes out: severities and remedies to `findings`; the table in docs/validator.md.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["RULES", "Rule"]

Severity = Literal["error", "warning"]
Evidence = Literal["lint", "server", "run", "Argo 4", "advice"]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        severity: `error` or `warning`.
        evidence: Who refuses what breaks it: ``argo lint --offline`` (`lint`), the API server with the full CRDs
            (`server`), or nobody, but a run of it goes wrong (`run`). `Argo 4` are rules of its CRDs, `advice` is ours.
        what: What it asks for.
        remedy: What to do, one sentence.
    """

    severity: Severity
    evidence: Evidence
    what: str
    remedy: str


def _rules(severity: Severity, evidence: Evidence, **rows: tuple[str, str]) -> dict[str, Rule]:
    return {name.replace("_", "-"): Rule(severity, evidence, *row) for name, row in rows.items()}


_REQUIRED = "Add it."
_RENAME = "Rename it."

_LINT = _rules(
    "error",
    "lint",
    argument_missing=("Every input without a default gets a value", "Give it in `arguments`, or give it a default."),
    artifact_from=("An artifact of a task comes from somewhere", "Give one of `from`, a location, a key."),
    artifact_location=("A location is complete", _REQUIRED),
    artifact_path=("Artifacts have a path where a container is, and only there", "Correct `path`."),
    container_set=("Containers of a set have names, a command, an order", "Correct the set."),
    cron_deadline=("`startingDeadlineSeconds` is not negative", "Write a positive number, or leave it out."),
    cron_policy=("`concurrencyPolicy` is known", "Write Allow, Forbid or Replace."),
    cron_schedule=("A schedule is one that cron reads", "Correct the schedule."),
    cron_timezone=("A time zone exists", "Write it as Europe/Berlin."),
    dag_cycle=("Tasks don't wait for each other in a circle", "Take away one of the dependencies."),
    dag_empty=("A DAG has tasks", "Add a task."),
    dag_target=("`target` names tasks of the DAG", "Name tasks of this DAG, with spaces between."),
    deadline_leaf=("`activeDeadlineSeconds` is for leaves and whole workflows", "Set it on the templates that work."),
    deadline_value=("A deadline is a positive integer", "Write seconds as a positive integer."),
    depends_continue=("`continueOn` is not mixed with `depends`", "Name the statuses, as `a.Succeeded || a.Failed`."),
    depends_items=("AnySucceeded and AllFailed are for loops", "Use Succeeded or Failed."),
    depends_mixed=("A DAG has `depends` or `dependencies`", "Use `depends` for all of its tasks."),
    depends_status=("A status in `depends` is known", "Use one of these."),
    depends_undefined=("A task waits for tasks of its own DAG", "Name a task of this DAG."),
    digit_first=("Names in dependencies begin with a letter", "Begin the name with a letter."),
    duplicate_name=("Names are unique", _RENAME),
    entrypoint=("`entrypoint` and `onExit` name templates", "Name one of its templates."),
    hook_expression=("Hooks other than exit have an expression", "Add `expression`."),
    image_missing=("A container has an image", "Name an image, with a tag."),
    init_container=("Init containers have names", "Add `name`."),
    loop_bounds=("`withSequence` has one end", "Give `count`."),
    loop_exclusive=("A loop has one source of items", "Keep one of them."),
    metric=("A metric has a name, help and a value", "Correct the metric."),
    missing_dependency=("A task waits for what it reads", "Name it in `depends`."),
    mount_clash=("Every mount has a path of its own", "Choose another path."),
    output_source=("An output has one source that its template can have", "Give one that this type of template has."),
    parallelism=("`parallelism` is for steps, DAGs and workflows", "Set it on what contains this template."),
    parameter_name=("Parameters and artifacts have legal names", "Use letters, digits, `-` and `_`."),
    plugin=("`plugin` has one key", "Keep the plugin's name as the only key."),
    pod_gc=("`podGC` has a known strategy and selector", "Correct `podGC`."),
    resource_action=("A resource template has a known action", "Use one of these."),
    resource_manifest=("A resource template has one manifest", "Give one of them, as YAML."),
    retry_policy=("`retryPolicy` is known", "Write Always."),
    task_name=("Tasks and steps have legal names", "Use letters, digits and `-`."),
    template_name=("Templates have legal names", "Use letters, digits and `-`."),
    template_none=("A task runs something", "Name a template."),
    template_ref=(
        "A reference is complete",
        "Give `templateRef` with `name` and `template`, and no `template` beside it.",
    ),
    template_ref_fields=("Templates are here or elsewhere", "Leave `templates` to the WorkflowTemplate."),
    template_type=("A template is of one type", "Keep exactly one of them."),
    template_undefined=("Referenced templates exist", "Name a template that is here."),
    timeout_leaf=(
        "`timeout` is for leaves",
        "Set it on the templates that work, or `activeDeadlineSeconds` on the workflow.",
    ),
    unclosed_tag=("A tag that begins also ends", "Close it with `}}`, or write the braces apart."),
    unknown_variable=("Tags name what is known", "Correct the name, or declare it."),
    value_choices=("Values are among their `enum`", "Write one of these."),
    value_missing=("Arguments have values", "Add `value`."),
    value_source=(
        "Arguments come from a ConfigMap or from who submits",
        "Use `value`, or `valueFrom.configMapKeyRef`.",
    ),
)

_SERVER = _rules(
    "error",
    "server",
    annotations_size=("Annotations have 256 KiB together", "Keep what is large in the store, and its URL here."),
    bad_value=("Values have the form that their type needs", "Correct the value."),
    duplicate_key=("Lists with a key have each key once", "Remove or rename one of the entries."),
    kind=("`kind` and `apiVersion` are Argo's", "Correct it, or leave the object out."),
    label=("Labels and annotations have legal keys and values", "Use letters, digits, `-`, `_` and `.`."),
    missing_field=("Required fields are there", _REQUIRED),
    object_name=("An object has a legal name, at most 63 characters, a CronWorkflow 52", "Correct the name."),
    object_size=("An object has at most 1 MB", "Use one template with parameters for all that are alike."),
    unknown_field=("Fields are Argo's", "Remove it, or correct its name."),
    wrong_type=("Values have the type that Argo reads", "Correct the type."),
)

_RUN = _rules(
    "error",
    "run",
    braces_in_value=(
        "Values of parameters have no braces",
        "Pass it in a file or in the store: tags in it would be replaced.",
    ),
    command_missing=("Containers have a command", "Add it: without one the controller asks the image's registry."),
    depends_syntax=("`depends` can be parsed", "Use names, statuses, `&&`, `||`, `!` and brackets."),
    duration=("Durations can be read", "Write a number and a unit."),
    expression=("Expressions can be parsed", "Correct the expression."),
    expression_hyphen=("Names with a hyphen are in brackets", "Put the name into brackets and quotes."),
    extended_resource=("GPUs have equal requests and limits", "Set both to the same number."),
    loop_list=("`withParam` is a JSON list", "Use `withItems` for what is fixed."),
    loop_number=("Bounds of a loop are integers", "Write an integer."),
    pull_policy=("`imagePullPolicy` is known", "Write IfNotPresent."),
    retry_number=("Limits of retries are integers", "Write an integer."),
    retry_variable=("Retries are spoken of where there are some", "Add `retryStrategy`, or remove the tag."),
    security_forbidden=(
        "Pods ask for no rights beyond *restricted*",
        "Remove it: Pod Security restricted refuses the pod.",
    ),
    skipped_output=("Outputs of tasks that may be skipped have a default", "Add `valueFrom.default`."),
    when=("`when` can be parsed", "Correct it, as `'{{inputs.parameters.x}}' == 'yes'`."),
)

_FOUR = _rules(
    "error",
    "Argo 4",
    singular_field=("`schedules`, `mutexes`, `semaphores` are plural", "Write the plural."),
    too_many_metrics=("At most 100 metrics", "Emit fewer."),
    too_many_parameters=("At most 500 input parameters", "Pass one that refers to the store."),
    too_many_tasks=("At most 200 tasks in a DAG", "Nest DAGs, of 150 tasks each."),
    too_many_templates=("At most 200 templates", "Use one template with parameters for all that are alike."),
)

_OURS = _rules(
    "error",
    "advice",
    image_latest=("Images have a tag that stays", "Use a tag or digest of its own for each build."),
    name_clash=("Names differ by more than case", _RENAME),
    not_json=("Manifests are plain JSON", "Use mappings, lists, texts, numbers, true, false and null."),
    too_deep=("Nothing is nested deeper than 100", "Nest less."),
)

_ADVICE = _rules(
    "warning",
    "advice",
    argument_size=("Arguments have at most 128 kB", "Keep it in the store and pass its URL."),
    argument_unknown=("Arguments are ones that the template takes", "Remove it, or declare it as an input."),
    deadline_missing=("A workflow ends at some time", "Set it: a pod whose image is missing waits for ever."),
    hook_exit=("There is one exit handler", "Keep one of them."),
    literal_tag=("Tags are Argo's", "Correct the name, or leave it if the braces are meant."),
    loop_size=("A loop has at most 500 pods", "Nest loops."),
    memory_limit=("Pods have a memory limit", "Set limits and requests."),
    object_large=("An object has less than 256 kB", "Use one template with parameters for all that are alike."),
    pod_gc_missing=("Pods go when they are done", "Set `podGC.strategy: OnPodCompletion`, with a delay."),
    pull_always=("Images that are there are not pulled", "Write IfNotPresent."),
    recursion=("Templates don't contain themselves", "Use a loop."),
    retry_exit_code=("Exit codes are compared as texts", "Write `lastRetry.exitCode == '1'`, or use asInt()."),
    retry_leaf=("What fails is retried, not what contains it", "Move `retryStrategy` to the leaves."),
    retry_policy_implied=("Retries have a policy", "Write the policy that is meant."),
    secret_value=("Secrets are no parameters", "Use `secretKeyRef` in the container's env."),
    security_missing=("Pods pass *restricted* by themselves", "Set it, unless the controller's `workflowDefaults` do."),
    server_field=("Manifests leave to the server what is the server's", "Remove it."),
    status_size=("The object stays below 1 MiB while it runs", "Use fewer and larger shards."),
    template_elsewhere=(
        "Referenced WorkflowTemplates are checked, too",
        "Pass it too, or check that the cluster has it.",
    ),
    ttl_missing=("Workflows are deleted at some time", "Set `ttlStrategy`."),
)

RULES: dict[str, Rule] = dict(sorted((_LINT | _SERVER | _RUN | _FOUR | _OURS | _ADVICE).items()))
