"""Where spools lie: a folder for each destination, for its owner only, without a credential."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

import pytest

from spanwise import Destination
from spanwise.export import places as places_module
from spanwise.export.places import Places, default_root
from support.folders import open_to_all
from support.forks import Child, in_child

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can change its user"
)

# No other process that runs tests at the same time has this one, nor its spare folder.
SOMEBODY = 100_000 + os.getpid() % 100_000
ENDPOINT = "http://127.0.0.1:4318/v1/traces"
REAL_SPARE_ROOT = places_module._spare_root


def destination(endpoint=ENDPOINT, **options):
    return Destination(endpoint=endpoint, **options)


@pytest.fixture
def patch():
    """Patches that a test may take back by itself, without those that protect it."""
    with pytest.MonkeyPatch.context() as made:
        yield made


@pytest.fixture
def root(tmp_path):
    return tmp_path / "state" / "spool"


@pytest.fixture(autouse=True)
def spare(tmp_path, monkeypatch):
    """The folder that stands in lies among those of the test."""
    folder = tmp_path / "spare"
    monkeypatch.setattr(places_module, "_spare_root", lambda: folder)
    return folder


@pytest.fixture
def real_spare(monkeypatch):
    """The folder that stands in for another user lies where it really does."""
    monkeypatch.setattr(places_module, "_spare_root", REAL_SPARE_ROOT)
    folder = Path("/var/tmp") / f"spanwise-{SOMEBODY}"
    assert not folder.exists()
    yield folder
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def modes(folder):
    return {
        str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in folder.rglob("*")
    }


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_what_lies_there_is_for_its_owner_only(root, umask):
    """Folders are 0700 and files 0600, whatever the program's umask is."""
    before = os.umask(umask)
    try:
        folder = Places(destination(), root).made()
    finally:
        os.umask(before)
    assert 0o700 == root.stat().st_mode & 0o777
    assert {folder.name: 0o700, f"{folder.name}/destination.json": 0o600, "salt": 0o600} == modes(
        root
    )


def test_nothing_is_made_before_it_is_needed(root):
    """A look at what is there leaves no trace."""
    places = Places(destination(), root)
    assert [] == places.existing()
    assert not root.parent.exists()
    folder = places.made()
    assert folder == places.made()
    assert [folder] == places.existing() == Places(destination(), root).existing()


def test_by_default_they_lie_in_the_users_state_folder(tmp_path, patch):
    """As the platform says where that is."""
    patch.setenv("XDG_STATE_HOME", str(tmp_path / "here"))
    assert default_root() == Places(destination()).root
    assert default_root().name == "spool"


def test_each_destination_has_a_folder_of_its_own(root):
    """Another address, protocol or header value is another one; only the same shares it."""
    made = [
        Places(each, root).made()
        for each in (
            destination(),
            destination("http://127.0.0.1:4319/v1/traces"),
            destination("http://127.0.0.1:4318/v1/traces/"),
            destination("https://127.0.0.1:4318/v1/traces"),
            destination("http://127.0.0.1:4318/v1/traces?x=1"),
            destination(protocol="grpc"),
            destination(headers={"x-api-key": "a"}),
            destination(headers={"x-api-key": "b"}),
            destination(headers={"x-api-key": ""}),
            destination(headers={"x-api": "key: a"}),
            destination(headers={"x-api-key": "a", "b": "c"}),
            destination(headers={"x-api-key": "a", "b": "C"}),
        )
    ]
    assert len(made) == len(set(made))
    assert {root} == {folder.parent for folder in made}


def test_the_same_destination_has_the_same_folder(root):
    """However its headers are ordered and written, and whatever else is said of it."""
    first = destination(headers={"X-Api-Key": "a", "b": "c"})
    second = destination(headers={"B": "c", "x-api-key": "a"}, timeout_s=3, compression="gzip")
    assert Places(first, root).made() == Places(second, root).made()


def test_other_roots_have_other_names_for_the_same_destination(tmp_path):
    """So that nobody can try out credentials on the name of a folder."""
    names = {Places(destination(), tmp_path / str(n)).made().name for n in range(5)}
    assert 5 == len(names)


def test_no_credential_is_in_the_folders(root):
    """Neither of the headers nor of the address, in no name and in no file."""
    secrets = ["sk-0123456789abcdefghij", "hunter2hunter2", "tok-ABCDEFGHIJ", "swordfish-99"]
    each = destination(
        f"http://jane:{secrets[1]}@127.0.0.1:4318/v1/traces?api_key={secrets[2]}",
        headers={"Authorization": f"Bearer {secrets[0]}", "x-api-key": secrets[3]},
    )
    folder = Places(each, root).made()
    assert (folder / "destination.json").stat().st_size > 0
    held = [os.fsencode(str(path.relative_to(root))) for path in root.rglob("*")]
    held += [path.read_bytes() for path in root.rglob("*") if path.is_file()]
    assert 5 <= len(held)
    for secret in secrets:
        assert not any(secret.encode() in text for text in held)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://../v1/traces",
        "http://..%2f..%2fetc/v1/traces",
        "http://.../v1/traces",
        "http://%00/x",
        "http://[::1]:4318/v1/traces",
        "http://[fe80::1%25eth0]:4318/",
        "http://LOCALHOST:4318",
        "http://münchen.example/v1/traces",
        "http://例え.jp/",
        "http://-rf/",
        "http://a'b\"c`d$e/",
        f"http://{'a' * 5_000}.example/",
        "http://con:4318/",
        "http://*/",
        "http://a\udcffb/",
        "http://host/\udcff",
    ],
)
def test_a_hostile_address_makes_a_harmless_name(root, endpoint):
    """One folder directly in the root, of letters, digits, dots and hyphens."""
    places = Places(destination(endpoint), root)
    folder = places.made()
    assert root == folder.parent
    assert re.fullmatch(r"[a-z0-9.-]{0,40}-[0-9a-f]{16}", folder.name)
    assert [folder] == places.existing()


def test_headers_of_any_text_make_a_name(root):
    """As far as they can be headers."""
    places = Places(destination(headers={"x-a": "".join(map(chr, range(32, 256)))}), root)
    assert [places.made()] == places.existing()


def test_processes_that_start_at_once_make_one_salt(tmp_path):
    """And with that one folder, whoever was first."""
    for attempt in range(5):
        root = tmp_path / str(attempt)

        def make(parent, root=root):
            parent.recv()
            return Places(destination(), root).made()

        children = [Child(make) for _ in range(8)]
        for child in children:
            child.say()
        folders = {child.result() for child in children}
        for child in children:
            child.pipe.close()
        assert 1 == len(folders)
        assert ["salt", *folders] == [
            "salt" if path.name == "salt" else path for path in sorted(root.iterdir(), reverse=True)
        ]
        assert 32 == (root / "salt").stat().st_size


def test_a_root_that_was_deleted_is_made_again(root):
    """With another salt, as nothing remembers the old one."""
    places = Places(destination(), root)
    first = places.made()
    shutil.rmtree(root.parent)
    assert [] == places.existing()
    second = places.made()
    assert first != second
    assert [second] == places.existing()


def test_one_folder_has_one_path_however_it_is_named(tmp_path, patch):
    """By way of a link, or relative to the current folder: else its leases could be taken twice."""
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    patch.chdir(real)
    roots = [real / "spool", tmp_path / "link" / "spool", Path("spool"), Path("../link/./spool")]
    assert 1 == len({Places(destination(), root).made() for root in roots})


def test_links_that_lead_in_a_circle_are_no_error_before_they_are_used(tmp_path, spare):
    """Then the spare folder is used."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    places = Places(destination(), tmp_path / "a" / "spool")
    assert [] == places.existing()
    assert spare == places.made().parent


@pytest.mark.parametrize(
    "fault", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EOPNOTSUPP]
)
def test_where_nothing_can_be_made_the_spare_folder_is_used(root, spare, patch, caplog, fault):
    """It is said once; both folders are looked into."""
    places = Places(destination(), root)
    first = places.made()
    shutil.rmtree(first)
    mkdir = Path.mkdir

    def failing(self, *args, **options):
        if root in (self, self.parent):
            raise OSError(fault, os.strerror(fault))
        mkdir(self, *args, **options)

    patch.setattr(Path, "mkdir", failing)
    second = places.made()
    assert second == places.made()
    assert spare == second.parent
    assert [second] == places.existing()
    assert 0o700 == spare.stat().st_mode & 0o777
    assert 1 == len([r for r in caplog.records if "are spooled in" in r.message])
    patch.setattr(Path, "mkdir", mkdir)
    assert first == places.made()
    assert [first, second] == places.existing()


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EMFILE, errno.EIO, errno.EDQUOT])
def test_what_passes_by_itself_is_the_callers_to_try_again(root, spare, patch, fault):
    """A full disk is no reason to write somewhere else."""

    def failing(self, *args, **options):
        raise OSError(fault, os.strerror(fault))

    patch.setattr(Path, "mkdir", failing)
    with pytest.raises(OSError) as raised:
        Places(destination(), root).made()
    assert fault == raised.value.errno
    assert not spare.exists()


def test_a_disk_that_is_full_leaves_no_half_of_a_salt(root, patch):
    """Half of it would be another one."""

    def short(fd, data):
        return write(fd, data[:5])

    write = os.write
    patch.setattr(places_module.os, "write", short)
    with pytest.raises(OSError, match="salt"):
        Places(destination(), root).made()
    assert [] == list(root.iterdir())
    patch.undo()
    Places(destination(), root).made()
    assert 32 == (root / "salt").stat().st_size


def test_a_home_that_is_no_folder_leads_to_the_spare_one(spare):
    """As users of services have it."""
    places = Places(destination(), Path("/dev/null/.local/state/spanwise/spool"))
    assert [] == places.existing()
    assert spare == places.made().parent


def test_a_root_that_is_a_file_leads_to_the_spare_one(root, spare):
    """Nothing can be made in it."""
    root.parent.mkdir(parents=True)
    root.write_text("a file")
    places = Places(destination(), root)
    assert [] == places.existing()
    assert spare == places.made().parent
    assert "a file" == root.read_text()


@as_root
@pytest.mark.parametrize("change", ["setuid", "seteuid"])
def test_a_worker_that_changes_its_user_goes_to_the_spare_folder(root, real_spare, change):
    """Its parent made the folder as root; the worker finds what it wrote itself."""
    open_to_all(root.parent.parent)
    places = Places(destination(), root)
    first = places.made()

    def worker():
        getattr(os, change)(SOMEBODY)
        folder = places.made()
        (folder / "x").touch()
        return folder, places.existing()

    folder, existing = in_child(worker)
    assert real_spare == folder.parent
    assert [folder] == existing
    assert SOMEBODY == folder.stat().st_uid
    assert 0o700 == folder.stat().st_mode & 0o777
    assert first == places.made()
    assert [first] == places.existing()


@as_root
@pytest.mark.parametrize("trap", ["another's", "open to all", "link", "file"])
def test_a_spare_folder_that_another_user_may_write_to_is_not_used(
    root, real_spare, trap, tmp_path
):
    """Nothing is written to it, and nothing that lies there is sent."""
    each = destination()

    def lay():
        """Lay a trap; where nothing is secret about the destination, its name can be known."""
        where = real_spare
        if trap == "file":
            real_spare.touch()
            os.chown(real_spare, SOMEBODY, SOMEBODY)
            return
        if trap == "link":
            where = tmp_path.parent / f"{tmp_path.name}-target"
            where.mkdir()
            real_spare.symlink_to(where)
            os.chown(where, SOMEBODY, SOMEBODY)
            os.lchown(real_spare, 1, 1)
        places_module.Places(each, where).made()
        for path in [where, *where.rglob("*")]:
            path.chmod(0o777)
            if trap == "open to all" or where != real_spare:
                os.chown(path, SOMEBODY, SOMEBODY)

    lay()

    def worker():
        os.setuid(SOMEBODY)
        places = Places(each, root)
        existing = places.existing()
        with pytest.raises(OSError):
            places.made()
        return existing

    before = sorted(real_spare.rglob("*")) if trap != "file" else []
    assert [] == in_child(worker)
    assert before == (sorted(real_spare.rglob("*")) if trap != "file" else [])
