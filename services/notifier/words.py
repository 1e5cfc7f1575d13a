"""What a message says, Chinese first. Pure. Case number, the title we composed, time left, where to look: nothing about citizens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from schemas.avro.notification.event import Notification
from schemas.ids import CHINA
from services.notifier.throttle import Waiting
from services.ports import Message

MINUTE_MS = 60_000
CLOCKS = {
    "accept": ("受理", "acceptance"),
    "sign": ("签收", "signing"),
    "handle": ("办理", "handling"),
    "reply": ("答复", "reply"),
    "report_up": ("上报", "report-up"),
    "supplement": ("补报期", "window for supplements"),
    "total": ("总", "total"),
}
MARK_ZH, MARK_EN = "【联动】", "[Liandong]"


def single(asked: Notification, page_id: str, now: int, link: str) -> Message:
    """One case. `link`: template of where to look, with {realm} and {case}."""
    left_zh, left_en = _left(asked, now)
    where = _link(link, asked.realm, asked.case_number or asked.case_id)
    number_zh, number_en = (f"，{asked.case_number}", f", {asked.case_number}") if asked.case_number else ("", "")
    return Message(
        key=page_id,
        realm=asked.realm,
        kind=asked.kind,
        urgency=asked.urgency,
        case_number=asked.case_number,
        title=asked.title,
        text=f"{MARK_ZH}{asked.title}{number_zh}{left_zh}。{where}".rstrip(),
        text_en=f"{MARK_EN} {asked.kind}{number_en}{left_en}. {where}".rstrip(),
        due_at=asked.clock_due_at,
        link=where,
        ack=f"/v1/pages/{page_id}/ack?realm={asked.realm}&kind={asked.kind}&case={asked.case_id}",
        count=1,
    )


def with_others(message: Message, waited: Sequence[Waiting]) -> Message:
    """The same, telling what waited as well."""
    if not waited:
        return message
    count, first = len(waited), waited[0]
    more = "1 more case" if count == 1 else f"{count} more cases"
    return msgspec.structs.replace(
        message,
        text=f"{message.text} 另有 {count} 件待处理，首件 {first.case_number} {first.title}。",
        text_en=f"{message.text_en} {more}, first {first.case_number}.",
        count=count + 1,
    )


def bundle(waited: Sequence[Waiting], key: str, realm: str, link: str) -> Message:
    """What waited for a person, in one message. `waited` is not empty."""
    count, first = len(waited), waited[0]
    where = _link(link, realm, first.case_number)
    cases = "1 case waits" if count == 1 else f"{count} cases wait"
    return Message(
        key=key,
        realm=realm,
        kind="bundle",
        urgency=0,
        case_number=first.case_number,
        title=first.title,
        text=f"{MARK_ZH}{count} 件待处理，首件 {first.case_number} {first.title}。{where}".rstrip(),
        text_en=f"{MARK_EN} {cases}, first {first.case_number}. {where}".rstrip(),
        due_at=0,
        link=where,
        ack="",
        count=count,
    )


def _left(asked: Notification, now: int) -> tuple[str, str]:
    """How long the clock has, or since when it runs late; empty without a clock."""
    if not asked.clock_due_at:
        return "", ""
    name_zh, name_en = CLOCKS.get(asked.clock, ("", asked.clock))
    until = datetime.fromtimestamp(asked.clock_due_at / 1000, UTC).astimezone(CHINA).strftime("%m-%d %H:%M")
    minutes = abs(asked.clock_due_at - now) // MINUTE_MS
    zh, en = _length(minutes)
    if asked.clock_due_at >= now:
        return f"，{name_zh}时限还剩{zh}（{until}）", f", {name_en} due in {en} ({until})"
    return f"，{name_zh}时限已超{zh}（{until}）", f", {name_en} late by {en} ({until})"


def _length(minutes: int) -> tuple[str, str]:
    hours, rest = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "天", "d"), (hours, "小时", "h"), (rest, "分钟", "min")]
    shown = [(n, zh, en) for n, zh, en in parts if n][:2] or [(0, "分钟", "min")]
    return "".join(f" {n} {zh}" for n, zh, _ in shown), " ".join(f"{n} {en}" for n, _, en in shown)


def _link(template: str, realm: str, case: str) -> str:
    return template.replace("{realm}", quote(realm, safe="")).replace("{case}", quote(case, safe="")) if case else ""
