"""What can be wrong with bytes, and the closed lists of reasons.

InvalidPayload            bytes or fields that we refuse to read; carries a `Reason` and where it is
  UnknownSchema           the frame names a schema id that `ids.lock` does not hold
UnknownPolicy             a case keeps to a version of the policies that this release does not hold
A business refusal is not an exception: `decide` answers it as an outcome with a `Refusal`.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why bytes were not readable; the label of `liandong_dead_letters_total` and of a dead letter."""

    BAD_FRAME = "bad_frame"
    UNKNOWN_SCHEMA = "unknown_schema"
    WRONG_TYPE = "wrong_type"
    BAD_AVRO = "bad_avro"
    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    BAD_KEY = "bad_key"
    BAD_VALUE = "bad_value"
    UNKNOWN_DIVISION = "unknown_division"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_STATE = "unknown_state"
    OUT_OF_SCOPE = "out_of_scope"
    TIME_TOO_OLD = "time_too_old"
    TIME_IN_FUTURE = "time_in_future"
    DECIDE_CRASHED = "decide_crashed"
    QUARANTINED = "quarantined"


class Refusal(StrEnum):
    """Why a readable command changed nothing; the `reason` of an outcome `refused`."""

    NO_SUCH_CASE = "no_such_case"
    ALREADY_EXISTS = "already_exists"
    ILLEGAL_TRANSITION = "illegal_transition"
    STALE_SEQ = "stale_seq"
    STALE_VERSION = "stale_version"
    MIRRORED = "mirrored"
    NOT_MIRRORED = "not_mirrored"
    OUT_OF_SCOPE = "out_of_scope"
    REASON_MISSING = "reason_missing"
    ORG_MISSING = "org_missing"
    NOT_SELF_HANDLED = "not_self_handled"
    OBJECTIONS_EXHAUSTED = "objections_exhausted"
    SAME_PERSON = "same_person"
    PERSON_MISSING = "person_missing"
    LEVEL_TOO_LOW = "level_too_low"
    LEVEL_NOT_BELOW = "level_not_below"
    NO_LEVEL_ABOVE = "no_level_above"
    ALREADY_OFFERED = "already_offered"
    NOT_OFFERED = "not_offered"
    SUSPENDED = "suspended"
    NOT_SUSPENDED = "not_suspended"
    GROUND_UNKNOWN = "ground_unknown"
    TIME_PAST = "time_past"
    TOO_LONG = "too_long"
    SHELVED = "shelved"
    NOT_SHELVED = "not_shelved"
    REVIEW_MISSING = "review_missing"
    TASK_UNKNOWN = "task_unknown"
    TASKS_OPEN = "tasks_open"
    NOT_CONVENER = "not_convener"
    RUNG_UNKNOWN = "rung_unknown"
    RUNG_NOT_ABOVE = "rung_not_above"
    NOT_SUPERVISED = "not_supervised"
    NO_REPLY_OWED = "no_reply_owed"
    NOT_ISSUER = "not_issuer"
    RESPONSE_UNCHANGED = "response_unchanged"
    CLOCK_UNKNOWN = "clock_unknown"
    NOT_EXTENSIBLE = "not_extensible"
    ALREADY_EXTENDED = "already_extended"
    ALREADY_DUE = "already_due"
    NOT_BREACHED = "not_breached"
    ALREADY_CONTESTED = "already_contested"
    NOT_CONTESTED = "not_contested"
    LEVEL_TOO_HIGH = "level_too_high"
    SAME_ORG = "same_org"
    EVIDENCE_MISSING = "evidence_missing"
    WINDOW_OVER = "window_over"
    STAGE_UNKNOWN = "stage_unknown"
    STAGE_OUT_OF_ORDER = "stage_out_of_order"
    NOT_DRAFTED = "not_drafted"
    SEVERAL_DRAFTS = "several_drafts"
    POLICY_UNKNOWN = "policy_unknown"
    POLICY_UNCHANGED = "policy_unchanged"
    TARGET_MISSING = "target_missing"
    TARGET_ITSELF = "target_itself"
    NOT_MERGED = "not_merged"
    NOTHING_AWAITED = "nothing_awaited"
    NOTHING_TO_AMEND = "nothing_to_amend"
    QUARANTINED = "quarantined"


class InvalidPayload(Exception):
    """A payload we refuse. `pointer` is a JSON Pointer (RFC 6901) into the body, "" for the whole."""

    def __init__(self, reason: Reason, detail: str, pointer: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
        self.pointer = pointer


class UnknownSchema(InvalidPayload):
    """The frame's schema id is not one of ours."""

    def __init__(self, schema_id: int) -> None:
        super().__init__(Reason.UNKNOWN_SCHEMA, f"schema id {schema_id} is not in schemas/ids.lock")
        self.schema_id = schema_id


class UnknownPolicy(KeyError):
    """A later release opened the case: this one must not decide it."""

    def __str__(self) -> str:
        return str(self.args[0])
