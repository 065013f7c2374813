"""Two pages to be read: what could be brought back today, and what is in an archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join

from backups.admin.words import took, when
from backups.archive.errors import ArchiveError
from backups.archive.terminal import human_size
from backups.models import Backup
from backups.services.contents import Entries, changes, entries_of, former_of
from backups.services.pruning import plan_of
from backups.services.reporting import Line, report
from fleet.admin.access import access_of
from fleet.admin.marks import badge, breaking, link_to, table
from fleet.models import Organisation
from schedules.admin.words import span

if TYPE_CHECKING:
    from fleet.admin.base import ReadOnlyAdmin as _Page

    F = TypeVar("F", bound=Callable[..., object])

    def themed_action(**_: Any) -> Callable[[F], F]: ...
else:
    from unfold.decorators import action as themed_action

    _Page = object

_MOST = 500


@dataclass(frozen=True, kw_only=True)
class _Section:
    title: str
    content: str
    words: str = ""


class BackupPages(_Page):
    @themed_action(description="Report", icon="fact_check", permissions=["view"], url_path="report")
    def report_page(self, request: HttpRequest) -> HttpResponse:
        sections: list[_Section] = []
        for organisation in _organisations(request):
            sections += [_reported(organisation), _planned(organisation)]
        return self._shown(request, "What could be brought back today", sections)

    @themed_action(description="What is in it", icon="folder_open", permissions=["view"], url_path="contents")
    def contents_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        backup = self.get_object(request, unquote(object_id))
        if backup is None:
            raise Http404
        try:
            sections = list(_contents(backup))
        except ArchiveError as error:
            sections = [_Section(title="It can't be read now", content=str(error))]
        return self._shown(request, f"What is in {backup}", sections, original=backup, object=backup)

    def _shown(self, request: HttpRequest, title: str, sections: list[_Section], **more: Any) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": title, "sections": sections}
        return TemplateResponse(request, "backups/admin/sections.html", context | more)


def _organisations(request: HttpRequest) -> list[Organisation]:
    access, rows = access_of(request), Organisation.objects.order_by("slug")
    return list(rows if access.everywhere else rows.filter(pk__in=access.organisations("backups:read")))


def _reported(organisation: Organisation) -> _Section:
    headers = ("agent, kind", "of", "newest verified", "RPO (target)", "newest drill", "RTO (target)", "amiss")
    rows = [_row(line) for line in report(organisation)]
    content = table(headers, rows, empty="There are no agents yet.")
    return _Section(title=f"{organisation}: what could be brought back", content=content)


def _row(line: Line) -> tuple[Any, ...]:
    rpo = span(line.rpo.total_seconds()) if line.rpo is not None else "–"
    rto = took(line.rto.total_seconds()) if line.rto is not None else "–"
    marks = ((badge(problem, tone="failed", shape="warning"),) for problem in line.problems)
    amiss = format_html_join(" ", "<div>{}</div>", marks) or "nothing"
    return (
        f"{line.agent} {line.kind}",
        breaking(line.source),
        link_to(line.verified) if line.verified else "none",
        f"{rpo} ({span(line.rpo_target.total_seconds())})",
        link_to(line.drilled.backup, line.drilled.backup.name) if line.drilled else "none",
        f"{rto} ({span(line.rto_target.total_seconds())})",
        amiss,
    )


def _planned(organisation: Organisation) -> _Section:
    rows = [
        (link_to(backup), backup.agent_slug, human_size(backup.size), "; ".join(verdict.why))
        for backup, verdict in plan_of(Backup.objects.of(organisation))
        if not verdict.is_kept
    ]
    content = table(("archive", "agent", "size", "why"), rows, empty="Nothing: every archive is kept by a rule.")
    words = "After the next backup of its kind, or once a day. Archives in the tiers go in the tiers' own times."
    return _Section(title=f"{organisation}: what the rules of keeping remove next", content=content, words=words)


def _contents(backup: Backup) -> Iterator[_Section]:
    found = entries_of(backup)
    former = former_of(backup)
    if former is not None:
        yield _differences(former, entries_of(former), found)
    rows = [
        (breaking(path), entry["type"], entry["mode"], human_size(int(entry.get("size", 0))), entry.get("link", ""))
        for path, entry in islice(found.items(), _MOST)
    ]
    content = table(("path", "type", "mode", "size", "leads to"), rows, empty="Nothing.")
    yield _Section(title=f"Its {len(found):,} entries", content=content, words=_cut(len(found), "backup show --files"))


def _differences(former: Backup, before: Entries, after: Entries) -> _Section:
    found = list(changes(before, after))
    rows = [(what, breaking(path)) for what, path in found[:_MOST]]
    content = table(("what", "path"), rows, empty="Nothing.")
    title = format_html("What differs from the one before it, taken {}", when(former.began_at))
    return _Section(title=title, content=content, words=_cut(len(found), f"backup diff {former.pk}"))


def _cut(count: int, command: str) -> str:
    return f"The first {_MOST} of {count:,}: manage.py {command} lists all." if count > _MOST else ""
