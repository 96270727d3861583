"""Container templates: what the pod of a stage is, one for all stages that need the same.

Comes in: tasks (`fireworks.workflow.argo.tasks`) and where they go. Goes out: Hera's models, to
`fireworks.workflow.argo.compiling`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from hera.workflows import models as m

from ...records import Resources
from .retrying import retry_strategy
from .tasks import Task

__all__ = [
    "DEADLINE_S",
    "EXIT_TEMPLATE",
    "FACTS",
    "Needs",
    "exit_template",
    "lifetime",
    "needs_of",
    "plain",
    "pod_security",
    "stage_template",
]

# Of a run, and of a stage that names no timeout: ends what waits for an image or a secret that will never be there.
DEADLINE_S = 7 * 24 * 3600
EXIT_TEMPLATE = "finish"
# The user of the images, of Argo's own containers and of the scratch volume.
_USER = 8737
_SCRATCH = "/scratch"
# Where a stage writes down what its output parameters are read from.
FACTS = f"{_SCRATCH}/facts"
_DEFAULT_GRACE_S = 30
# Those of the workflow itself.
_LABELS = {name: f"{{{{workflow.labels.{name}}}}}" for name in ("fireworks.io/run", "fireworks.io/pipeline")}
# Fields of a pod that a template has too: people read them there, and Argo and the API server check them.
_TEMPLATE_FIELDS = frozenset({"affinity", "nodeSelector", "priorityClassName", "schedulerName", "tolerations"})


@dataclass(frozen=True, kw_only=True)
class Needs:
    """All that a pod depends on but the stage that it is told to run. Equal needs share a template.

    Args:
        timeout_s: Of one attempt; None for `DEADLINE_S`.
        retries: Further attempts.
        is_chain: The pod runs several stages.
    """

    image: str
    resources: Resources
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    pod: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float | None = None
    retries: int = 0
    grace_s: float = _DEFAULT_GRACE_S
    is_chain: bool = False

    @property
    def deadline_s(self) -> int:
        """After which Kubernetes ends the pod, pulling its image included."""
        return DEADLINE_S if self.timeout_s is None else ceil(self.timeout_s + self.grace_s)


def needs_of(task: Task, image: str) -> Needs:
    """What a task's pods need. The stages of a chain run one after the other, each within its own timeout."""
    first = task.stages[0]
    return Needs(
        image=first.image or image,
        resources=first.resources,
        env=first.env,
        secrets=first.secrets,
        pod=first.pod,
        timeout_s=None if first.timeout_s is None else first.timeout_s * len(task.stages),
        retries=max(stage.retries for stage in task.stages),
        grace_s=max(stage.grace_s for stage in task.stages),
        is_chain=task.is_chain,
    )


def stage_template(needs: Needs) -> dict[str, Any]:
    """The template of all stages that need this, without its name; its inputs are the stage's name and the shard."""
    inputs = [m.Parameter(name="stage"), m.Parameter(name="shard", value="0")]
    label = "task" if needs.is_chain else "stage"
    if needs.is_chain:
        inputs.append(m.Parameter(name="task"))
    fields, patch = _split(needs.pod)
    if needs.grace_s != _DEFAULT_GRACE_S:
        patch = {"terminationGracePeriodSeconds": ceil(needs.grace_s)} | patch
    template = m.Template(
        inputs=m.Inputs(parameters=inputs),
        outputs=m.Outputs(parameters=[_fact("rows"), _fact("hash"), _fact("url")]),
        metadata=_metadata(f"{{{{inputs.parameters.{label}}}}}"),
        active_deadline_seconds=m.IntOrString(root=needs.deadline_s),
        retry_strategy=retry_strategy(needs.retries),
        container=_container(needs),
        volumes=_volumes(needs.resources.disk),
        pod_spec_patch=json.dumps(patch, sort_keys=True) if patch else None,
    )
    # Not by way of the model, which drops what it does not know: a misspelt field is for the API server to refuse.
    return plain(template) | fields


def exit_template(image: str) -> dict[str, Any]:
    """What runs when the run has ended, however: it writes down the end. It reads records, so it is small."""
    needs = Needs(image=image, resources=Resources(cpu=0.1, memory="256Mi"), retries=3, timeout_s=600)
    container = _container(needs)
    container.args = [
        *("--plan", "{{workflow.parameters.plan}}", "--status", "{{workflow.status}}"),
        *("--failures", "{{workflow.failures}}"),
    ]
    container.command = ["python", "-m", "fireworks.workflow.finish"]
    template = m.Template(
        name=EXIT_TEMPLATE,
        metadata=m.Metadata(labels=dict(_LABELS)),
        active_deadline_seconds=m.IntOrString(root=needs.deadline_s),
        retry_strategy=retry_strategy(needs.retries),
        container=container,
        volumes=_volumes(None),
    )
    return plain(template)


def pod_security() -> m.PodSecurityContext:
    """What Pod Security *restricted* asks of a pod; containers add their own part."""
    return m.PodSecurityContext(
        run_as_non_root=True,
        run_as_user=_USER,
        run_as_group=_USER,
        fs_group=_USER,
        seccomp_profile=m.SeccompProfile(type="RuntimeDefault"),
    )


def lifetime() -> dict[str, Any]:
    """How long pods and Workflows stay: logs are in the store, ten minutes are for whoever looks at the pod itself."""
    return {
        "pod_gc": m.PodGC(strategy="OnPodCompletion", delete_delay_duration="600s"),
        "ttl_strategy": m.TTLStrategy(seconds_after_completion=DEADLINE_S),
        "security_context": pod_security(),
    }


def plain(model: Any) -> dict[str, Any]:
    """A model of Hera's as plain data, without what is not set."""
    data: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return data


def _metadata(stage: str) -> m.Metadata:
    """So that ``kubectl get pods -l fireworks.io/stage=train`` finds them."""
    own = {"fireworks.io/stage": stage, "fireworks.io/shard": "{{inputs.parameters.shard}}"}
    return m.Metadata(labels=_LABELS | own, annotations={"fireworks.io/stages": "{{inputs.parameters.stage}}"})


def _split(pod: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A pod patch: what the template has fields for, and the rest, for Argo to merge into the pod."""
    fields = {key: value for key, value in pod.items() if key in _TEMPLATE_FIELDS and value is not None}
    return fields, {key: value for key, value in pod.items() if key not in fields}


def _fact(name: str) -> m.Parameter:
    """Shown in Argo's pages; empty if the stage ended before it was written."""
    return m.Parameter(name=name, value_from=m.ValueFrom(path=f"{FACTS}/{name}", default=""))


def _container(needs: Needs) -> m.Container:
    return m.Container(
        image=needs.image,
        image_pull_policy="IfNotPresent",
        # Without a command, Argo would ask the image's registry for one.
        command=["python", "-m", "fireworks.workflow.stage"],
        args=[
            *("--plan", "{{workflow.parameters.plan}}"),
            *("--stage", "{{inputs.parameters.stage}}"),
            *("--shard", "{{inputs.parameters.shard}}"),
            *("--facts", FACTS),
        ],
        working_dir=_SCRATCH,
        env=_environment(needs.env, needs.secrets),
        env_from=[
            m.EnvFromSource(config_map_ref=m.ConfigMapEnvSource(name="store-settings", optional=True)),
            m.EnvFromSource(secret_ref=m.SecretEnvSource(name="store-credentials", optional=False)),
        ],
        resources=_resources(needs.resources),
        security_context=m.SecurityContext(
            allow_privilege_escalation=False,
            capabilities=m.Capabilities(drop=["ALL"]),
            read_only_root_filesystem=True,
        ),
        volume_mounts=[
            m.VolumeMount(name="scratch", mount_path=_SCRATCH),
            m.VolumeMount(name="shm", mount_path="/dev/shm"),  # noqa: S108 - a mount of the pod's own
        ],
    )


def _environment(env: Mapping[str, str], secrets: Mapping[str, str]) -> list[m.EnvVar]:
    """The kubelet would replace ``$(NAME)`` in a value, so its ``$`` is doubled."""
    values = {"TMPDIR": _SCRATCH, "HOME": _SCRATCH} | dict(sorted(env.items()))
    plain = [m.EnvVar(name=name, value=value.replace("$(", "$$(")) for name, value in values.items()]
    hidden = []
    for name, reference in sorted(secrets.items()):
        secret, _, key = reference.partition("/")
        source = m.EnvVarSource(secret_key_ref=m.SecretKeySelector(name=secret, key=key))
        hidden.append(m.EnvVar(name=name, value_from=source))
    return plain + hidden


def _resources(asked: Resources) -> m.ResourceRequirements:
    """Memory is limited to what is asked. The processor is not: a limit throttles, and threads follow the request."""
    cpu = str(int(asked.cpu)) if asked.cpu == int(asked.cpu) else f"{ceil(asked.cpu * 1000)}m"
    requests = {"cpu": cpu, "memory": asked.memory}
    limits = {"memory": asked.memory}
    if asked.gpu:
        limits["nvidia.com/gpu"] = requests["nvidia.com/gpu"] = str(asked.gpu)
    if asked.disk:
        requests["ephemeral-storage"] = asked.disk
    return m.ResourceRequirements(requests=_quantities(requests), limits=_quantities(limits))


def _quantities(texts: Mapping[str, str]) -> dict[str, m.Quantity]:
    return {name: m.Quantity(root=text) for name, text in texts.items()}


def _volumes(disk: str | None) -> list[m.Volume]:
    """The root is read-only; and a container's own /dev/shm of 64 MB kills DataLoader workers."""
    scratch = m.EmptyDirVolumeSource(size_limit=m.Quantity(root=disk) if disk else None)
    return [
        m.Volume(name="scratch", empty_dir=scratch),
        m.Volume(name="shm", empty_dir=m.EmptyDirVolumeSource(medium="Memory")),
    ]
