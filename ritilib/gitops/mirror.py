"""The controller's own bare clone of the fleet's repository: it only ever goes forward, and heals itself."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ritilib.errors import GitopsError, HistoryRefused, RitiError
from ritilib.gitops.command import ask_git, run_git
from ritilib.gitops.history import Accepted, has_commit, holds, judge_history
from ritilib.gitops.remote import Remote

_CANDIDATE = "refs/riti/fetched"  # what came last, accepted or not
_ACCEPTED = TypeAdapter(Accepted)
_BESIDE, _ASIDE = ".new-", ".old-"


class Mirror:
    """A folder of the controller's own: the bare repository, and beside it which commit was accepted last.

    Where a fetch fails or brings what may not be accepted, both stay as they were, so that the last good commit can
    be read and applied again (a rollback needs no Git server). One process at a time uses a folder.
    """

    def __init__(self, folder: Path, remote: Remote) -> None:
        """Make the folder (0700) where it is not there. GitopsError where that cannot be."""
        self.remote = remote
        self.repo = folder / "mirror.git"
        self._folder = folder
        self._note = folder / "accepted.json"
        self.tip = ""  # what the other side said last
        self._found_whole = ""  # the tip at which a failure was once shown not to be the mirror's own
        with _explained(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def last(self) -> Accepted | None:
        """What was accepted last, if it can be read here; None before the first fetch."""
        try:
            noted = self._read_note()
        except GitopsError:
            return None
        return noted if noted and self._holds(noted.commit) else None

    def fetch(self, applied: Accepted | None = None, rewritten: str | None = None) -> Accepted:
        """Ask the remote for the branch, and give its tip as the commit that may be applied from now on.

        applied is what another controller is known to have applied: the tip must go on from it too, so that an empty
        folder knows no less than a kept one. rewritten: see judge_history. One question to the remote where nothing
        is new. A mirror that is missing or damaged is made again. Raises Unreachable or Denied (nothing is known),
        HistoryRefused (the tip may not be applied), GitopsError (no such branch, no room, a folder in use); `last`
        then is what it was.
        """
        with self._alone():
            tip = self.tip = self.remote.find_tip(self._folder)
            noted = self._read_bound(applied)
            bounds = [one for one in (noted, applied) if one]
            if noted and applied and (noted.commit, noted.root) == (applied.commit, applied.root):
                bounds = [noted]
            if not self._is_repository():
                return self._make_again(bounds, rewritten)
            try:
                if noted and noted.commit == tip and has_commit(self.repo, tip):
                    return self._judge(self.repo, tip, bounds, rewritten) if bounds != [noted] else noted
                return self._advance(bounds, rewritten)
            except HistoryRefused:
                raise
            except RitiError:
                if tip == self._found_whole or self._is_whole():
                    self._found_whole = tip
                    raise
            return self._make_again(bounds, rewritten)

    def goes_on(self, older: str, newer: str) -> bool:
        """Whether newer, a commit that is here, holds all of older's history; an older that is not here is not held."""
        return holds(self.repo, older, newer)

    def heal(self) -> bool:
        """Read every object; make the mirror again where one is damaged, with what was accepted still in it.

        For whoever could not read the last commit. True where it was made again. Raises as fetch.
        """
        with self._alone():
            if self._is_repository() and self._is_whole():
                return False
            noted = self._read_note()
            self._make_again([noted] if noted else [], None)
            return True

    def _advance(self, bounds: list[Accepted], rewritten: str | None) -> Accepted:
        self._clear_remains()
        self._clear_folders()
        self.remote.fetch(self.repo, _CANDIDATE)
        found = self._judge(self.repo, self._find_fetched(self.repo), bounds, rewritten)
        with _explained(self._folder):
            self._accept(self.repo, found)
        # Housekeeping when Git thinks it due; if it fails, the next one does it.
        ask_git(
            self.repo, "-c", "gc.autoDetach=false", "gc", "--auto", "--quiet", environment=self._at(self.repo)
        )
        return found

    def _make_again(self, bounds: list[Accepted], rewritten: str | None) -> Accepted:
        """A whole new mirror, made beside the old one and put in its place at the end."""
        with _explained(self._folder):
            beside = Path(tempfile.mkdtemp(prefix=_BESIDE, dir=self._folder))
        try:
            git_dir = beside / "mirror.git"
            git_dir.mkdir()
            run_git(git_dir, "init", "--quiet", "--bare", "--template=", environment=self._at(git_dir))
            self.remote.fetch(git_dir, _CANDIDATE)
            found = self._judge(git_dir, self._find_fetched(git_dir), bounds, rewritten)
            with _explained(self._folder):
                if self.repo.exists():
                    self.repo.rename(Path(tempfile.mkdtemp(prefix=_ASIDE, dir=self._folder)) / "mirror.git")
                git_dir.rename(self.repo)
                self._accept(self.repo, found)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            self._clear_folders()
        return found

    def _find_fetched(self, repo: Path) -> str:
        return run_git(
            repo, "rev-parse", "--verify", f"{_CANDIDATE}^{{commit}}", environment=self._at(repo)
        ).strip()

    def _judge(self, repo: Path, tip: str, bounds: list[Accepted], rewritten: str | None) -> Accepted:
        """The tip, where it goes on from every bound."""
        found = judge_history(repo, tip, bounds[0] if bounds else None, rewritten)
        for bound in bounds[1:]:
            judge_history(repo, tip, bound, rewritten)
        return found

    def _accept(self, repo: Path, found: Accepted) -> None:
        """The branch first, so that the commit which the note names is never swept away."""
        run_git(repo, "update-ref", self.remote.ref, found.commit, environment=self._at(repo))
        run_git(repo, "symbolic-ref", "HEAD", self.remote.ref, environment=self._at(repo))
        handle, name = tempfile.mkstemp(prefix=_BESIDE, dir=self._folder)
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(asdict(found), file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._note)
        finally:
            Path(name).unlink(missing_ok=True)

    def _read_note(self) -> Accepted | None:
        """None where there is none; GitopsError where it cannot be read, for then a rewritten branch would pass."""
        try:
            return _ACCEPTED.validate_json(self._note.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            mend = "look at the branch's history, then remove this file: the branch as it is now is accepted"
            raise GitopsError.because(f"{self._note} cannot be read ({type(error).__name__})", mend) from None

    def _read_bound(self, applied: Accepted | None) -> Accepted | None:
        """The note; one that cannot be read is no matter where applied says as much."""
        try:
            return self._read_note()
        except GitopsError:
            if applied is None:
                raise
            return None

    def _is_repository(self) -> bool:
        if not self.repo.is_dir():
            return False
        return (
            ask_git(self.repo, "rev-parse", "--is-bare-repository", environment=self._at(self.repo)).status
            == 0
        )

    def _is_whole(self) -> bool:
        words = ("fsck", "--full", "--no-dangling", "--no-progress", "--no-reflogs")
        return ask_git(self.repo, *words, environment=self._at(self.repo)).status == 0

    def _holds(self, commit: str) -> bool:
        return self._is_repository() and has_commit(self.repo, commit)

    def _at(self, git_dir: Path) -> dict[str, str]:
        """Git looks nowhere else: a damaged mirror inside some checkout would else be taken for that checkout."""
        return {"GIT_DIR": str(git_dir.resolve())}

    def _clear_remains(self) -> None:
        """What a fetch that was killed leaves: locks that stop the next one, and packs that were never whole."""
        for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/tmp_*"):
            for path in self.repo.glob(pattern):
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _clear_folders(self) -> None:
        for pattern in (f"{_BESIDE}*", f"{_ASIDE}*"):
            for path in self._folder.glob(pattern):
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder's lock, which the kernel gives back when the process ends."""
        with _explained(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                mend = "give each controller a folder of its own"
                raise GitopsError.because(f"{self._folder} is in use by another controller", mend) from None
            yield
        finally:
            os.close(lock)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"{folder} cannot be written: {error.strerror}"
        raise GitopsError.because(what, "make room there, or name another folder") from None
