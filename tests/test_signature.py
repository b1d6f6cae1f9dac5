"""Signed releases: what a signature proves, what breaks it, and that the private key stays where it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from commands import write_keys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from releases import people_with_mail, put_out
from typer.testing import CliRunner

from synth.cli import app
from synth.detection import detect
from synth.errors import CheckFailed, InputError
from synth.frames import from_pandas
from synth.release import verify
from synth.signature import fingerprint, read_private_key, read_public_key
from synth.storage import sha256, write_parquet


def private_pem(key: object, encryption: object = None) -> bytes:
    """A private key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.fixture
def keys(tmp_path) -> Path:
    """A folder with two pairs of keys: mine and other."""
    place = tmp_path / "keys"
    place.mkdir()
    for name in ("mine", "other"):
        write_keys(place, name)
    return place


@pytest.fixture
def signed(tmp_path, keys) -> Path:
    """A release that `mine` signed."""
    rows = from_pandas(people_with_mail(60))
    write_parquet(tmp_path / "rows.parquet", rows)
    signer = read_private_key(keys / "mine.pem")
    return put_out(tmp_path / "out", tmp_path / "rows.parquet", detect(rows), signer=signer)


def test_a_signature_is_that_of_the_key(signed, keys):
    mine = fingerprint(read_public_key(keys / "mine.pub"))
    assert verify(signed) == verify(signed, keys / "mine.pub") == mine
    with pytest.raises(CheckFailed, match=r"SHA256SUMS\.sig is not of SHA256SUMS by the key"):
        verify(signed, keys / "other.pub")


def test_openssl_verifies_it_too(signed, keys):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    check = ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", "PUBLIC_KEY.pem", "-in", "SHA256SUMS"]
    done = subprocess.run([*check, "-sigfile", "SHA256SUMS.sig"], cwd=signed, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_private_key_is_in_no_file_and_no_message(signed, keys):
    secret = (keys / "mine.pem").read_bytes().splitlines()[1]
    raw = read_private_key(keys / "mine.pem").private_bytes_raw()
    for file in signed.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert secret not in content
        assert raw not in content


def forge(place: Path) -> None:
    """Change the card and its checksum, as someone without the key can."""
    was = sha256(place / "README.md")
    (place / "README.md").write_text("mine now")
    sums = (place / "SHA256SUMS").read_text()
    (place / "SHA256SUMS").write_text(sums.replace(was, sha256(place / "README.md")))


def strip(place: Path) -> None:
    (place / "SHA256SUMS.sig").unlink()


def shorten(place: Path) -> None:
    (place / "SHA256SUMS.sig").write_bytes((place / "SHA256SUMS.sig").read_bytes()[:-1])


@pytest.mark.parametrize(
    ("harm", "message"),
    [(forge, "is not of SHA256SUMS by the key"), (strip, "not signed"), (shorten, "is not of SHA256SUMS by the key")],
)
@pytest.mark.parametrize("key", [None, "mine.pub"])
def test_what_breaks_a_signature_is_one_line_and_exit_1(signed, keys, harm, message, key):
    harm(signed)
    with pytest.raises(CheckFailed, match=message):
        verify(signed, key and keys / key)


def test_an_unsigned_release_is_not_taken_for_a_signed_one(tmp_path, keys):
    rows = from_pandas(people_with_mail(60))
    write_parquet(tmp_path / "rows.parquet", rows)
    out = put_out(tmp_path / "out", tmp_path / "rows.parquet", detect(rows))
    assert verify(out) is None
    with pytest.raises(CheckFailed, match="not signed"):
        verify(out, keys / "mine.pub")


def test_a_release_that_another_key_signed_anew_is_found_by_the_key_only(signed, keys):
    other = read_private_key(keys / "other.pem")
    was = sha256(signed / "PUBLIC_KEY.pem")
    shutil.copyfile(keys / "other.pub", signed / "PUBLIC_KEY.pem")
    sums = (signed / "SHA256SUMS").read_text().replace(was, sha256(signed / "PUBLIC_KEY.pem"))
    (signed / "SHA256SUMS").write_text(sums)
    (signed / "SHA256SUMS.sig").write_bytes(other.sign(sums.encode()))
    assert verify(signed) == fingerprint(other.public_key())
    with pytest.raises(CheckFailed):
        verify(signed, keys / "mine.pub")


def bad_keys(place: Path) -> dict[str, str]:
    """Files that hold no usable private key, and what is said of each."""
    rsa = generate_private_key(public_exponent=65537, key_size=2048)
    locked = private_pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"hunter2"))
    for name, content in {"empty": b"", "text": b"hunter2", "rsa": private_pem(rsa), "locked": locked}.items():
        (place / name).write_bytes(content)
    return {
        "empty": "not a private key in PEM",
        "text": "not a private key in PEM",
        "mine.pub": "not a private key in PEM",
        "rsa": "not an Ed25519 key",
        "locked": "is encrypted",
        "nowhere": "cannot be read",
        ".": "cannot be read",
    }


def test_an_unusable_private_key_is_refused_by_name_without_its_content(keys):
    for name, message in bad_keys(keys).items():
        with pytest.raises(InputError, match=message) as caught:
            read_private_key(keys / name)
        assert str(keys) in str(caught.value)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["mine.pem", "text", "nowhere", "rsa.pub"])
def test_an_unusable_public_key_is_refused_by_name(signed, keys, name):
    (keys / "text").write_text("no key")
    rsa = generate_private_key(public_exponent=65537, key_size=2048).public_key()
    (keys / "rsa.pub").write_bytes(rsa.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(InputError, match=name):
        verify(signed, keys / name)


def test_the_command_says_who_signed_and_that_a_folder_cannot_vouch_for_itself(signed, keys):
    mine = fingerprint(read_public_key(keys / "mine.pub"))
    done = CliRunner().invoke(app, ["verify", str(signed)])
    assert done.exit_code == 0
    assert f"signed by the key {mine}" in done.output
    assert "give --key" in done.output
    done = CliRunner().invoke(app, ["verify", str(signed), "--key", str(keys / "mine.pub")])
    assert done.exit_code == 0
    assert "give --key" not in done.output


def test_a_key_is_read_before_any_work(keys, tmp_path):
    (keys / "text").write_text("no key")
    out = tmp_path / "release"
    given = ["--model", "none", "--train", "none", "--test", "none", "--out", str(out)]
    done = CliRunner().invoke(app, ["release", "none", *given, "--sign", str(keys / "text")])
    assert isinstance(done.exception, InputError)
    assert "not a private key in PEM" in str(done.exception)
    assert not out.exists()
