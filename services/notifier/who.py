"""Whom a notification means, by the people who are known at that moment; and what a case is told when nobody could be. Pure."""

from __future__ import annotations

from schemas import ids
from schemas.avro.alarm_command.event import AlarmCommand
from schemas.avro.incident_command.event import IncidentCommand
from schemas.avro.notification.event import Notification
from schemas.avro.page.event import Page
from schemas.divisions import PROVINCE
from schemas.people.records import Channel
from services.notifier.decide import NO_ONE
from services.ports import Contact, Directory
from streams.domain.incident.settling import CHINA_MINUTES
from streams.domain.incident.table import UNREACHED

HEAD = "head"
LOG = "log"
PRODUCER = "notifier"


def contacts(directory: Directory, target_kind: str, target: str, at: int) -> tuple[Contact, ...]:
    """Each person once. While no desk of the platform has a roster, the desk itself is told, by a line in the log: so a fresh platform
    shows its pages. As soon as one has, a desk without anybody is one that nobody answers for."""
    found = directory.head(target, at) if target_kind == HEAD else directory.on_duty(target, at)
    if not found and not directory.desks():
        found = (Contact(target, target, (Channel(LOG, target),)),)
    return tuple({contact.person: contact for contact in found}.values())


def nobody_notified(asked: Notification, page: Page) -> IncidentCommand | AlarmCommand | None:
    """What a case hears when a page reached nobody: the ladder of an incident's clock climbs at once, and so does an alarm. None:
    nothing to tell. An alarm that nobody could decide has no case that would listen: the alert NobodyNotified is what is left."""
    if page.status != NO_ONE:
        return None
    if asked.kind == "alarm" and asked.case_seq:
        return _to_alarm(asked, page)
    return _to_incident(asked, page) if asked.kind == "incident" and asked.clock else None


def _command_id(asked: Notification, page: Page) -> str:
    return ids.command_id(asked.realm, PRODUCER, f"{UNREACHED}:{page.page_id}")


def _to_alarm(asked: Notification, page: Page) -> AlarmCommand:
    return AlarmCommand(
        command_id=_command_id(asked, page), case_id=asked.case_id, name=UNREACHED, realm=asked.realm, expected_seq=-1,
        division="", alarm_class="", device="", subject="", actor_person="", actor_org="", actor_role="", actor_level="",
        actor_division=PROVINCE, occurred_at=page.at, occurred_offset=CHINA_MINUTES, received_at=0, cause="rule", producer=PRODUCER,
        org=page.target, reason=page.reason, mended="", cell="", sealed_ref="", src_topic=page.src_topic,
        src_partition=page.src_partition, src_offset=page.src_offset, src_position=1, home_cluster="", round=asked.round, step=asked.step,
    )  # fmt: skip


def _to_incident(asked: Notification, page: Page) -> IncidentCommand:
    return IncidentCommand(
        command_id=_command_id(asked, page),
        case_id=asked.case_id, name=UNREACHED, realm=asked.realm, expected_seq=-1, division=asked.division, incident_type="",
        actor_person="", actor_org="", actor_role="", actor_level="", actor_division=PROVINCE,
        occurred_at=page.at, occurred_offset=CHINA_MINUTES, received_at=0, cause="rule", producer=PRODUCER, state="", source_version=0,
        holder=asked.clock_holder, reassignments=-1, reopens=-1, grade=0, org="", reason=page.reason, cell="", sealed_ref="",
        evidence=False, src_topic=page.src_topic, src_partition=page.src_partition, src_offset=page.src_offset, src_position=1,
        home_cluster="", level=asked.target_level, until=asked.ack_by, purpose=asked.clock, amount=asked.step, target=page.target,
        whom=asked.target_kind,
    )  # fmt: skip
