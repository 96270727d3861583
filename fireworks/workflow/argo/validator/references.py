"""From the entrypoint to every template: references, arguments, and the tags known on the way.

Templates are visited in the order in which Argo's own check does (`workflow/validate` of 3.7.18), since some tags are
known only after their origin has been seen. What Argo's check stops at is written down, and the walk goes on.

Comes in: all manifests, one of them to begin with. Goes out: findings about what refers to what.
"""

from ....errors import did_you_mean
from .dags import Graph
from .findings import Findings, Place
from .flows import check_needs, check_skipped, read_tasks
from .manifests import Manifest, World, steps_of, task_place, tasks_of, template_place, type_of
from .parameters import has_location
from .reading import Json, entries, mapping, name_of, tags, text
from .scopes import (
    ANY_OUTPUT,
    add_items,
    add_outputs,
    arguments_of,
    global_names,
    global_outputs,
    template_names,
)
from .tagging import Tags

__all__ = ["check_references"]

_MAX_DEPTH = 100


def check_references(manifest: Manifest, world: World, found: Findings) -> None:
    """Walk through everything that a manifest runs, and its other templates."""
    base, reference = manifest, mapping(manifest.spec, "workflowTemplateRef")
    if manifest.spec.get("workflowTemplateRef") is not None:
        if manifest.spec.get("templates"):
            text_ = "A Workflow has either `templates` or `workflowTemplateRef`"
            found.add("template-ref-fields", manifest.place, text_, "both")
        referred = world.referred(manifest)
        if referred is None:
            _report_elsewhere(name_of(reference), manifest.place, found)
            return
        base = referred
    _Walk(manifest, base, world, found).run()


def _report_elsewhere(name: str, place: Place, found: Findings) -> None:
    if not name:
        found.add("template-ref", place, "A reference to a WorkflowTemplate needs its name")
    else:
        found.add("template-elsewhere", place, "What a WorkflowTemplate has is only checked if it is among these", name)


class _Walk:
    def __init__(self, manifest: Manifest, base: Manifest, world: World, found: Findings) -> None:
        self.manifest, self.base, self.world, self.found = manifest, base, world, found
        referred = base if base is not manifest else None
        self.arguments = arguments_of(manifest, referred)
        self.tags = Tags(global_names(manifest, referred), found, lenient=manifest.is_template)
        self.seen: set[int] = set()

    def run(self) -> None:
        """Visit the entrypoint, the exit handler, then all the rest."""
        place, spec = self.manifest.place, self.manifest.spec
        entrypoint = text(spec, "entrypoint") or text(self.base.spec, "entrypoint")
        arguments = None if self.manifest.is_template else self.arguments
        if entrypoint:
            self.named(entrypoint, arguments, place, "entrypoint")
        elif not self.manifest.is_template:
            self.found.add("entrypoint", place, "A workflow needs `entrypoint`", "", "Name one of its templates.")
        handler = text(spec, "onExit") or text(self.base.spec, "onExit")
        if handler:
            self.tags.names["workflow.failures"] = None
            if any(
                "{{" in text(a, "globalName") for t in self.base.templates for a in entries(t, "outputs", "artifacts")
            ):
                self.tags.names[ANY_OUTPUT["artifacts"]] = None
            self.named(handler, mapping(spec, "arguments"), place, "onExit")
        for holder in (spec, self.base.spec):
            self.hooks(holder, self.base, place, 0)
        for template in self.base.templates:
            if name_of(template):
                self.template(template, self.base, template_place(self.base.place, template), None, 0)

    def named(self, name: str, arguments: Json | None, place: Place, field: str) -> None:
        """Visit the entrypoint or the exit handler."""
        template = self.base.by_name.get(name)
        if template is None:
            hint = did_you_mean(name, self.base.by_name).strip()
            self.found.add("entrypoint", place, f"`{field}` must name a template", name, hint)
            return
        self.supplied(template, arguments, place)
        self.template(template, self.base, template_place(self.base.place, template), arguments, 0)

    def holder(self, holder: Json, base: Manifest, place: Place, arguments: Json | None, depth: int) -> Json | None:
        """Visit what a task, step or hook runs.

        Args:
            holder: The task.
            base: Where it looks for templates.
            place: Of the task.
            arguments: What the task gives; None on a first visit, which takes anything as given.
            depth: How many templates contain the task.

        Returns:
            The template, if it is here.
        """
        name, reference, inline = text(holder, "template"), holder.get("templateRef"), holder.get("inline")
        template: Json | None = None
        if reference is not None:
            if name:
                self.found.add("template-ref", place, "A task has either `template` or `templateRef`", "both")
            base, template = self.referred(mapping(reference), base, place)
        elif name:
            template = base.by_name.get(name)
            if template is None:
                hint = did_you_mean(name, base.by_name).strip()
                self.found.add("template-undefined", place, "A task runs a template that is here", name, hint)
        elif not isinstance(inline, dict):
            self.found.add("template-none", place, "A task needs `template`, `templateRef` or `inline`", "none of them")
        if isinstance(inline, dict):
            template = inline
        if template is None:
            return None
        self.supplied(template, arguments, place)
        inner = place.at("inline template") if template is inline else template_place(base.place, template)
        self.template(template, base, inner, arguments, depth + 1)
        return template

    def referred(self, reference: Json, base: Manifest, place: Place) -> tuple[Manifest, Json | None]:
        """The template that a `templateRef` leads to, and the manifest that has it."""
        name, template = name_of(reference), text(reference, "template")
        if not name or not template:
            missing = "`name`" if not name else "`template`"
            self.found.add("template-ref", place, "A `templateRef` needs `name` and `template`", f"no {missing}")
            return base, None
        target = self.world.template(name, cluster=reference.get("clusterScope") is True)
        if target is None:
            _report_elsewhere(name, place, self.found)
            return base, None
        if any(tags(template)):
            return base, None
        if template not in target.by_name:
            hint = did_you_mean(template, target.by_name).strip()
            self.found.add("template-undefined", place, f"{target.kind} {name} has no such template", template, hint)
            return base, None
        return target, target.by_name[template]

    def supplied(self, template: Json, arguments: Json | None, place: Place) -> None:
        """Check that every input has a value; `None` stands for arguments that may be anything."""
        if arguments is None:
            return
        given = {name_of(parameter): parameter for parameter in entries(arguments, "parameters")}
        for parameter in entries(template, "inputs", "parameters"):
            name = name_of(parameter)
            source = given.get(name, {} if parameter.get("valueFrom") is None else parameter)
            fixed = parameter.get("value") is not None or parameter.get("default") is not None
            value = source.get("value") is not None or (fixed and name not in given)
            if not value and mapping(source, "valueFrom").get("configMapKeyRef") is None:
                text_ = f"Template {name_of(template) or 'inline'} needs a value for parameter"
                self.found.add("argument-missing", place, text_, name)
        files = {name_of(artifact) for artifact in entries(arguments, "artifacts")}
        for artifact in entries(template, "inputs", "artifacts"):
            if artifact.get("optional") is not True and not has_location(artifact) and name_of(artifact) not in files:
                self.found.add("argument-missing", place, "A template needs an artifact", name_of(artifact))
        if arguments is not self.arguments and arguments is not mapping(self.manifest.spec, "arguments"):
            self.unknown(template, arguments, place)

    def unknown(self, template: Json, arguments: Json, place: Place) -> None:
        """Point out arguments that the template doesn't take."""
        for kind in ("parameters", "artifacts"):
            inputs = [name_of(value) for value in entries(template, "inputs", kind)]
            for value in entries(arguments, kind):
                if name_of(value) and name_of(value) not in inputs:
                    hint = did_you_mean(name_of(value), inputs).strip()
                    self.found.add(
                        "argument-unknown", place, "A template ignores what it doesn't take", name_of(value), hint
                    )

    def template(self, template: Json, base: Manifest, place: Place, arguments: Json | None, depth: int) -> None:
        """Visit a template, once."""
        if depth > _MAX_DEPTH:
            self.found.add("too-deep", place, "Templates may be nested 100 deep at most")
        if id(template) in self.seen or depth > _MAX_DEPTH:
            return
        self.seen.add(id(template))
        names = template_names(template)
        kind = type_of(template)
        if kind == "dag":
            self.dag(template, names, base, place, depth)
        elif kind == "steps":
            self.steps(template, names, base, place, depth)
        else:
            self.tags.check(template, names, place)
        self.tags.check(template.get("outputs"), names, place)

    def dag(self, template: Json, names: set[str], base: Manifest, place: Place, depth: int) -> None:
        """Visit the tasks of a DAG, each after those it waits for."""
        graph, runs = Graph(template), dict[str, Json | None]()
        tasks = graph.sorted(tasks_of(template))
        for task in tasks:
            runs[name_of(task)] = self.holder(task, base, task_place(place, task), None, depth)
            self.outputs(names, f"tasks.{name_of(task)}", task, runs[name_of(task)])
        self.tags.check(mapping(template, "dag").get("target"), names, place)
        for task in tasks:
            name, inner = name_of(task), task_place(place, task)
            if task.get("hooks") is not None:
                names.add(f"tasks.{name}.status")
            read = read_tasks({key: value for key, value in task.items() if key != "hooks"})
            read_by_hooks = read_tasks(task.get("hooks"))
            before = {f"tasks.{other}.status" for other in (*read, *read_by_hooks) if graph.is_before(other, name)}
            self.scoped(task, names, before, inner)
            check_needs(task, read, read_by_hooks, graph, inner, self.found)
            check_skipped(task, graph, runs, inner, self.found)
            self.holder(task, base, inner, mapping(task, "arguments"), depth)
            self.hooks(task, base, inner, depth)

    def steps(self, template: Json, names: set[str], base: Manifest, place: Place, depth: int) -> None:
        """Visit steps in their order."""
        for group in steps_of(template):
            for step in group:
                prefix, inner = f"steps.{name_of(step)}", task_place(place, step, "step")
                names.add(f"{prefix}.status")
                add_items(names, step)
                template_run = self.holder(step, base, inner, None, depth)
                own = set[str]()
                if mapping(step, "hooks").get("exit") is not None or text(step, "onExit"):
                    self.outputs(own, prefix, {}, template_run)
                self.scoped(step, names, own, inner)
                self.outputs(names, prefix, step, template_run)
                self.holder(step, base, inner, mapping(step, "arguments"), depth)
                self.hooks(step, base, inner, depth)

    def scoped(self, task: Json, names: set[str], own: set[str], place: Place) -> None:
        """Check the tags of a task, with names of its own, its items and the inputs of what it has inline."""
        own.update(f"inputs.parameters.{name_of(p)}" for p in entries(task, "inline", "inputs", "parameters"))
        add_items(own, task)
        # Others may have thousands of names: they are not copied for each task.
        own -= names
        names |= own
        self.tags.check(task, names, place)
        names -= own

    def outputs(self, names: set[str], prefix: str, task: Json, template: Json | None) -> None:
        """Make known what others may read of a task."""
        add_outputs(names, prefix, template, aggregate=bool(task.get("withItems") or task.get("withParam")))
        known = global_outputs(template)
        names.update(known)
        self.tags.names.update(dict.fromkeys(known - set(ANY_OUTPUT.values())))

    def hooks(self, holder: Json, base: Manifest, place: Place, depth: int) -> None:
        """Check hooks: all but the exit handler need an expression, and what they run must be here."""
        hooks = mapping(holder, "hooks")
        if hooks.get("exit") is not None and text(holder, "onExit"):
            self.found.add("hook-exit", place, "A hook named exit takes the place of `onExit`", holder["onExit"])
        for name, hook in hooks.items():
            if name != "exit" and not text(hook, "expression"):
                self.found.add("hook-expression", place, "A hook other than exit needs `expression`", name)
            if isinstance(hook, dict):
                self.holder(hook, base, place.at(f"hook {name}"), mapping(hook, "arguments"), depth)
        handler = text(holder, "onExit")
        if handler and holder is not self.manifest.spec and holder is not self.base.spec:
            self.holder({"template": handler}, base, place.at("onExit"), mapping(holder, "arguments"), depth)
