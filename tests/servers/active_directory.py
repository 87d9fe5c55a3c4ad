"""Samba as an Active Directory domain controller, with people and groups in groups.

Arguments: a folder with certificates, the cache, the address to listen at (ports are fixed: it needs root, and an address
of its own). Provisioning takes a quarter of a minute, so it is done once and kept in the cache. Each line on stdin is a
statement about `db`, the directory; the end of stdin ends the server.
"""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time

folder, cache, address = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3]
dc = folder / "dc"
answers = os.fdopen(os.dup(1), "w", buffering=1)
# Everybody else talks to the log.
os.dup2(2, 1)

ROOT = "DC=corp,DC=example"
PASSWORD = "C0rrect-Horse!"


def provision() -> None:
    subprocess.run(
        ["samba-tool", "domain", "provision", f"--targetdir={dc}", "--realm=CORP.EXAMPLE", "--domain=CORP"]
        + ["--server-role=dc", "--dns-backend=NONE", "--use-rfc2307", "--adminpass=Adm1n-Passw0rd!"]
        + ["--host-name=dc1", "--host-ip=127.0.0.10", "--option=interfaces=127.0.0.10/8"]
        + ["--option=bind interfaces only=yes"],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    populate(directory())


def directory():
    from samba.auth import system_session
    from samba.param import LoadParm
    from samba.samdb import SamDB

    parameters = LoadParm()
    parameters.load(str(folder / "smb.conf"))
    return SamDB(url=str(dc / "private/sam.ldb"), session_info=system_session(), lp=parameters)


def populate(db) -> None:
    for unit in ("People", "Groups", "Service"):
        db.create_ou(f"OU={unit},{ROOT}")
    db.newuser("portcullis", "Serv1ce-Passw0rd!", userou="OU=Service", setpassword=True)
    people = ("alice", "bob", "carol", "dave", "mallory")
    for name in people + ("disabled", "expired", "mustchange", "locked"):
        db.newuser(name, PASSWORD, userou="OU=People")
    db.toggle_userAccountFlags("(sAMAccountName=disabled)", 2, on=True)  # UF_ACCOUNTDISABLE
    db.modify_ldif(f"dn: CN=expired,OU=People,{ROOT}\nchangetype: modify\nreplace: accountExpires\naccountExpires: 1\n")
    db.modify_ldif(f"dn: CN=mustchange,OU=People,{ROOT}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: 0\n")
    # alice in ai-devs in ai-platform in ai-users in ai-devs: a circle.
    for name in ("ai-devs", "ai-platform", "ai-users", "staff", "wide"):
        db.newgroup(name, groupou="OU=Groups")
    for group, member in (("ai-devs", "alice"), ("ai-platform", "ai-devs"), ("ai-users", "ai-platform"), ("ai-devs", "ai-users")):
        db.add_remove_group_members(group, [member], add_members_operation=True)
    db.add_remove_group_members("staff", ["bob", "dave"], add_members_operation=True)
    # Three failures lock an account for half an hour (times are in steps of 100 ns, and negative).
    db.modify_ldif(
        f"dn: {ROOT}\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: 5\n-\n"
        "replace: lockoutDuration\nlockoutDuration: -18000000000\n-\n"
        "replace: lockOutObservationWindow\nlockOutObservationWindow: -18000000000\n"
    )


def configure() -> None:
    folder.joinpath("smb.conf").write_text(
        f"""[global]
netbios name = DC1
realm = CORP.EXAMPLE
workgroup = CORP
server role = active directory domain controller
server services = ldap
interfaces = {address}/8
bind interfaces only = yes
private dir = {dc}/private
lock directory = {dc}
state directory = {dc}/state
cache directory = {dc}/cache
pid directory = {dc}
ncalrpc dir = {dc}/ncalrpc
tls enabled = yes
tls keyfile = {folder}/dc1.key
tls certfile = {folder}/dc1.pem
tls cafile = {folder}/ca.pem
ldap server require strong auth = yes
log level = 1
"""
    )
    folder.joinpath("dc1.key").chmod(0o600)


def restore() -> None:
    """From the snapshot that this very script made, or by making it."""
    version = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:16]
    snapshot = cache / f"active-directory-{version}.tgz"
    if not snapshot.exists():
        provision()
        cache.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, delete=False) as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
                tar.add(dc, arcname="dc")
        os.replace(file.name, snapshot)
        shutil.rmtree(dc)
    subprocess.run(["tar", "-xzf", snapshot, "-C", folder], check=True)


def serve() -> subprocess.Popen:
    command = ["samba", "-F", "--no-process-group", "-M", "single", "-s", str(folder / "smb.conf"), "--debug-stdout"]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((address, 636)) == 0:
                return server
        time.sleep(0.02)
    end(server)
    sys.exit("samba does not listen")


def end(server: subprocess.Popen) -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


configure()
restore()
server = serve()
try:
    db = directory()
    answers.write(json.dumps({"serving": True}) + "\n")
    for statement in sys.stdin:
        exec(statement, {"db": db, "ROOT": ROOT, "PASSWORD": PASSWORD, "server": server, "os": os, "signal": signal})
        answers.write("done\n")
finally:
    end(server)
