"""Certificates for the loopback address, made anew with openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_EXTENSIONS = """\
subjectAltName = IP:127.0.0.1,DNS:localhost
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def make_certificates(folder: Path) -> Path:
    """Write `ca.pem`, and `server`, `client` and `other` with .pem and .key; return the folder.

    The authority signed server and client; other signed itself. `both.pem` has certificate and key
    of the client. The test is skipped where there is no openssl.
    """
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other"):
        files = ("-keyout", f"{name}.key", "-out", f"{name}.pem")
        uses = ("-addext", "keyUsage=critical,keyCertSign,digitalSignature")
        openssl("req", "-x509", *key, "-subj", f"/CN={name}", *uses, *files)
    for name in ("server", "client"):
        files = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("req", *key, "-subj", f"/CN={name}", *files)
        (folder / f"{name}.ext").write_text(_EXTENSIONS)
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
        written = ("-extfile", f"{name}.ext", "-out", f"{name}.pem")
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, *written)
    both = (folder / "client.pem").read_text() + (folder / "client.key").read_text()
    (folder / "both.pem").write_text(both)
    return folder
