"""`liandong policy`: which rules hold, where they come from, and what a draft would change. Needs no platform, save to activate a
version or withdraw that, to see what is active, and to rehearse on a platform's own history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from schemas.event_types import event_types
from schemas.policies import Policies, latest
from schemas.policy import store
from schemas.policy.checks import check as faults_of
from schemas.policy.difference import changes
from schemas.policy.reading import Fault, in_order
from schemas.policy.rules import Rule
from schemas.policy.words import CERTAINTY, general, holding, selector_of, subject_of, whom_words, words_of
from services.commands.options import AsJson, end, print_json
from services.commands.policy_activate import activate, active, withdraw
from services.commands.policy_drafts import console, open_policies, print_faults, read_draft, table_of
from services.commands.policy_rehearse import rehearse

app = typer.Typer(
    help="List, show, check, compare, rehearse and activate policies: clocks, lateness, reporting up, suspension, supervision.",
    no_args_is_help=True,
)
app.command()(activate)
app.command()(withdraw)
app.command()(active)
app.command()(rehearse)
Where = Annotated[
    str, typer.Option("--in", metavar="VERSION|PATH", help="A version, or a draft folder or file. Default: the latest version.")
]


@app.command("list")
def list_documents(*, where: Where = "", as_json: AsJson = False) -> None:
    """The documents of a version, with source and certainty of each.

    Example: liandong policy list --in 2026.1
    """
    found = open_policies(where)
    if as_json:
        print_json(
            {
                "version": found.version,
                "latest": latest(),
                "versions": list(store.versions()),
                "in_force_from": found.in_force_from.isoformat(),
                "documents": [_head(found, name) for name in found.documents],
            }
        )
        return
    typer.echo(f"{found.version}  {found.title_zh}")
    typer.echo(f"in force from {found.in_force_from}; released: {', '.join(store.versions())}")
    typer.echo(f"new cases get {latest()} where nothing was activated; see liandong policy active\n")
    table = table_of("document", "version", "kind", "rules", "certainty", "in force from", "title and source")
    for name, document in found.documents.items():
        certainty = f"{document.certainty} {CERTAINTY[document.certainty]}"
        words = f"{document.title_zh}\n{document.source}"
        cells = (name, document.version, document.kind, len(found.rules[name]), certainty, document.in_force_from, words)
        table.add_row(*(escape(str(cell)) for cell in cells))
    console().print(table)


@app.command()
def show(
    document: Annotated[str, typer.Argument(help="Id of a document; see `liandong policy list`.")] = "",
    *,
    incident_type: Annotated[str, typer.Option("--type", metavar="CODE", help="What holds for incidents of this type, e.g. A10100.")] = "",
    grade: Annotated[int, typer.Option(min=0, max=4, help="1 (特别重大) to 4 (一般), 0 not yet graded; with --type.")] = 0,
    where: Where = "",
    as_json: AsJson = False,
) -> None:
    """One document, or the rules that hold for an incident, each with its source.

    Example: liandong policy show sla_emergency

    Example: liandong policy show --type A10100 --grade 2
    """
    if bool(document) == bool(incident_type):
        end("name a document, or an incident with --type and --grade (one of both)", code=2)
    found = open_policies(where)
    if document:
        _show_document(found, document, as_json)
    elif incident_type not in event_types():
        end(f"there is no incident type {incident_type}; they stand in schemas/reference/event_types.csv", code=2)
    else:
        _show_incident(found, incident_type, grade, as_json)


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A folder of documents (*.toml), or one document.")], *, as_json: AsJson = False
) -> None:
    """Look for everything that is wrong with a draft, at once. Exit code 1 if anything is.

    A draft stands over the latest version: a document replaces the one of its id, a new id is added. A file draft.toml in the folder
    may say `based_on`, `in_force_from` and `without` (ids that are dropped).

    Example: liandong policy check drafts/faster-grade-2
    """
    collection, faults = read_draft(path)
    faults = in_order((*faults, *faults_of(collection)))
    if as_json:
        print_json({"right": not faults, "based_on": collection.version.removeprefix("draft of "), "faults": [_fault(f) for f in faults]})
    elif faults:
        print_faults(faults)
    else:
        typer.echo(f"{path} is right: {len(collection.placed)} documents hold together. See what it changes with:")
        typer.echo(f"  liandong policy diff {collection.version.removeprefix('draft of ')} {path}")
    if faults:
        raise typer.Exit(1)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="A version, or a draft folder or file.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The same.")],
    *,
    as_json: AsJson = False,
) -> None:
    """What changes for whom, in words: the effect on every incident type and grade, not the text.

    Example: liandong policy diff 2026.1 drafts/faster-grade-2
    """
    found = changes(open_policies(before), open_policies(after))
    if as_json:
        print_json([msgspec.to_builtins(change) | {"words": str(change)} for change in found])
        return
    for change in found:
        typer.echo(str(change))
    if not found:
        typer.echo(f"{before} and {after} say the same for every incident")


def _show_document(found: Policies, name: str, as_json: bool) -> None:
    document = found.documents.get(name)
    if document is None:
        end(f"{found.version} has no document {name}; it has {', '.join(found.documents)}", code=3)
    if as_json:
        print_json(_head(found, name) | {"rules": [_rule(rule) for rule in found.rules[name]]})
        return
    typer.echo(f"{document.name}  {document.title_zh}  {document.title_en}")
    until = f" to {document.in_force_until}" if document.in_force_until else ""
    typer.echo(f"{document.kind}, {document.certainty} {CERTAINTY[document.certainty]}, in force from {document.in_force_from}{until}")
    if document.notes:
        typer.echo(f"notes:  {document.notes}")
    rules = [(subject_of(rule), rule) for rule in found.rules[name]]
    sources = _sources(document.source, rules)
    typer.echo()
    console().print(_rules(rules, sources))
    _print_sources(sources)


def _show_incident(found: Policies, incident_type: str, grade: int, as_json: bool) -> None:
    of_it, of_all = list(holding(found, incident_type, grade)), list(general(found))
    if as_json:
        head = {"version": found.version, "type": incident_type, "grade": grade}
        print_json(head | {"rules": [_rule(rule) for _, rule in of_it], "general": [_rule(rule) for _, rule in of_all]})
        return
    graded = f"grade {grade}" if grade else "not yet graded"
    typer.echo(f"{incident_type} {event_types()[incident_type].name_zh}, {graded}, under {found.version}\n")
    sources = _sources("", of_it + of_all)
    console().print(_rules(of_it, sources))
    typer.echo("\nfor every incident alike:\n")
    console().print(_rules(of_all, sources))
    _print_sources(sources)


def _sources(first: str, rules: list[tuple[str, Rule]]) -> dict[str, int]:
    """Sources by number, each once."""
    every = dict.fromkeys((*([first] if first else []), *(rule.origin.source for _, rule in rules)))
    return {source: number for number, source in enumerate(every, start=1)}


def _print_sources(sources: dict[str, int]) -> None:
    typer.echo("\nsources:")
    for source, number in sources.items():
        typer.echo(f"  [{number}] {source}")


def _rules(rules: list[tuple[str, Rule]], sources: dict[str, int]) -> Table:
    """One row a rule; its source is a number of `sources`."""
    table = table_of("what", "for whom", "rule", "certainty", "where")
    for subject, rule in rules:
        words = words_of(rule)
        certainty = f"{words.pop('certainty')} {CERTAINTY[rule.origin.certainty]} [{sources[words.pop('source')]}]"
        selector = selector_of(rule)
        whom = whom_words(selector.types, selector.grades) if selector else "every type"
        further = ", ".join(f"{aspect} {said}" for aspect, said in words.items() if aspect)
        said = "\n".join(part for part in (words[""], further, rule.origin.notes) if part)
        place = f"{rule.origin.document} {rule.origin.pointer}"
        table.add_row(*(escape(cell) for cell in (subject, whom, said, certainty, place)))
    return table


def _head(found: Policies, name: str) -> dict[str, Any]:
    document = found.documents[name]
    names = ("id", "version", "kind", "title_zh", "title_en", "source", "certainty", "in_force_from", "in_force_until", "notes")
    return {key: msgspec.to_builtins(getattr(document, key)) for key in names} | {"rules": len(found.rules[name])}


def _rule(rule: Rule) -> dict[str, Any]:
    """The rule as code uses it, and in words."""
    built: dict[str, Any] = msgspec.to_builtins(rule)
    return {"subject": subject_of(rule)} | built | {"words": words_of(rule)}


def _fault(fault: Fault) -> dict[str, str]:
    built: dict[str, str] = msgspec.to_builtins(fault)
    return built
