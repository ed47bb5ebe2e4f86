"""Notifications in the reader's words, and where each leads."""

from __future__ import annotations

from crm.notifications import NoticeInfo
from web.formats import phone, whole_number
from web.i18n import gettext as _
from web.i18n import ngettext


def sentence(notice: NoticeInfo) -> str:
    """One sentence; of a kind that this version does not know, its name."""
    who, detail = notice.actor_name or _("the program"), notice.detail
    match notice.kind:
        case "assigned" if isinstance(detail.get("count"), int):
            count: int = detail["count"]
            if notice.record_kind == "lead":
                return _leads_given(who, count)
            if notice.record_kind == "communication":
                return _communications_given(who, count)
            text = ngettext(
                "%(who)s made you responsible for %(num)d counterparty",
                "%(who)s made you responsible for %(num)d counterparties",
                count,
            )
            return text % {"who": who, "num": count}
        case "assigned":
            return _("%(who)s made you responsible for “%(name)s”") % {"who": who, "name": _name(notice)}
        case "mentioned":
            text = _("%(who)s mentions you at “%(name)s”: %(text)s")
            return text % {"who": who, "name": _name(notice), "text": detail.get("text", "")}
        case "access_wanted":
            return _("%(who)s asks to read “%(name)s”") % {"who": who, "name": _name(notice)}
        case "access_granted":
            return _("%(who)s lets you read “%(name)s”") % {"who": who, "name": _name(notice)}
        case "access_refused":
            return _("%(who)s does not let you read “%(name)s”") % {"who": who, "name": _name(notice)}
        case "task":
            return _("%(who)s gives you a task: %(name)s") % {"who": who, "name": _name(notice)}
        case "task_done":
            return _("%(who)s has done the task “%(name)s”") % {"who": who, "name": _name(notice)}
        case "reminder":
            return _("Reminder: %(name)s") % {"name": _name(notice)}
        case "meeting":
            return _("%(who)s invites you to a meeting: %(name)s") % {
                "who": who,
                "name": detail.get("subject") or _("without a subject"),
            }
        case "callback":
            text = _("%(who)s hands you a missed caller: %(phone)s")
            return text % {"who": who, "phone": phone(str(detail.get("phone") or ""))}
        case "call":
            return _of_call(notice)
        case "subscriber_failed":
            text = _("The subscriber “%(name)s” took nothing for a day and was stopped")
            return text % {"name": _name(notice)}
        case "import":
            return _of_import(notice)
        case _:
            return notice.kind


def _leads_given(who: str, count: int) -> str:
    text = ngettext(
        "%(who)s made you responsible for %(num)d lead",
        "%(who)s made you responsible for %(num)d leads",
        count,
    )
    return text % {"who": who, "num": count}


def _communications_given(who: str, count: int) -> str:
    text = ngettext(
        "%(who)s handed %(num)d communication over to you",
        "%(who)s handed %(num)d communications over to you",
        count,
    )
    return text % {"who": who, "num": count}


def _of_import(notice: NoticeInfo) -> str:
    """How an import ended that its reader began."""
    told = {"name": _name(notice)}
    told |= {name: whole_number(value) for name, value in notice.detail.items() if isinstance(value, int)}
    match notice.detail.get("state"):
        case "finished":
            text = _("The import of “%(name)s” is finished. Created: %(created)s, not imported: %(refused)s")
        case "undone":
            text = _("The import of “%(name)s” is undone. Put into the bin: %(undone)s, stay: %(kept)s")
        case _:
            text = _("The import of “%(name)s” has stopped by itself: look what is the matter")
    return text % told


def _of_call(notice: NoticeInfo) -> str:
    """A rule wanted this call told."""
    detail = notice.detail
    number = phone(str(detail["phone"])) if detail.get("phone") else _("Number withheld")
    whom = {"name": detail.get("name") or number}
    if detail.get("direction") == "inbound":
        if detail.get("is_answered"):
            return _("%(name)s called and was answered") % whom
        return _("%(name)s called and reached nobody") % whom
    if detail.get("is_answered"):
        return _("%(name)s was called and answered") % whom
    return _("%(name)s was called and not reached") % whom


def _name(notice: NoticeInfo) -> str:
    return str(notice.detail.get("name") or "—")


def address_of(notice: NoticeInfo) -> str:
    """The page of what it is about; the notifications where there is none."""
    record = notice.record_id or ""
    if notice.record_kind == "party":
        return f"/parties/{record}" if record else "/parties"
    if notice.record_kind == "lead":
        return f"/leads/{record}" if record else "/leads?whose=mine"
    if notice.record_kind == "access_request":
        return "/parties/access-requests"
    if notice.record_kind == "task":
        return f"/tasks/{record}"
    if notice.record_kind == "callback_case":
        return "/missed?mine=1"
    if notice.record_kind == "communication":
        return f"/communications/{record}" if record else "/communications"
    if notice.record_kind == "import":
        return f"/parties/imports/{record}"
    if notice.record_kind == "subscriber":
        return f"/admin/subscribers/{record}"
    return "/notifications"
