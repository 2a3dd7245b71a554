"""Another password for who knows theirs."""

from __future__ import annotations

from commerce.accounts.choosing import check_choice
from commerce.accounts.errors import InvalidSessionError, WrongPasswordError
from commerce.accounts.mails import AccountMails
from commerce.accounts.passwords import Passwords
from commerce.accounts.principal import Principal
from commerce.accounts.security import Event, note
from commerce.accounts.sessions import Sessions
from storage.users import UserRecord, Users


class PasswordChange:
    """Asks for the password before it does something that only the account's owner may."""

    def __init__(
        self, users: Users, passwords: Passwords, sessions: Sessions, mails: AccountMails
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._sessions = sessions
        self._mails = mails

    async def change(self, who: Principal, current: str, new: str) -> None:
        """Have `new` open the account in place of `current`; all other sessions end.

        Raises WrongPasswordError, WeakPasswordError, InvalidSessionError, and PasswordsBusyError
        before anything was done.
        """
        record = await self._record(who)
        known = record.password_hash
        if not await self._passwords.verify(current, known) or known is None:
            note(Event.PASSWORD_REFUSED, who.user, session=who.session)
            raise WrongPasswordError("current_password")
        check_choice(new, record.user.email, record.user.name, field="new_password")
        hashed = await self._passwords.hash(new)
        if not await self._users.change_password(
            who.user, hashed, instead_of=record, keep=who.session
        ):
            await self._record(who)
            raise WrongPasswordError("current_password")  # it was changed in the meantime
        note(Event.PASSWORD_CHANGED, who.user, session=who.session)
        await self._sessions.tell_of_epoch(who.user)
        self._mails.password_changed(record.user)

    async def _record(self, who: Principal) -> UserRecord:
        """The account as it is now. Raises InvalidSessionError for whose session has ended."""
        record = await self._users.find_record(who.user)
        if record is None:
            raise InvalidSessionError
        if who.epoch != record.user.epoch and who.session != record.user.kept:
            raise InvalidSessionError
        return record
