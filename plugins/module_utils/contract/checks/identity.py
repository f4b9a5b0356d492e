"""Checks of the account with which the service runs."""

from __future__ import annotations

from ...common.text import count, listed
from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import Group, Outcome, failed, passed, skipped

GROUP = Group("identity")

_NO_LOGIN = ("/sbin/nologin", "/usr/sbin/nologin", "/bin/false", "/usr/bin/false")


@GROUP.check(
    "user-not-root",
    "User of the service",
    severity="critical",
    remedy="Give the Dockerfile's final stage a USER that is not root, as the role's own does (go_service_user).",
    rules=(
        "CIS 4.1",
        "Dockle CIS-DI-0001",
        "hadolint DL3002",
        "trivy AVD-DS-0002",
        "checkov CKV_DOCKER_3",
        "checkov CKV_DOCKER_8",
        "OWASP #2",
    ),
)
def user_not_root(evidence: Evidence, expected: Expected) -> Outcome:
    """The image's USER is the account that was asked for and not uid 0, the container does not override it, and the
    kernel shows that the container's first process does not have uid 0."""
    limit = f"{expected.user}, not uid 0"
    uid, _gid = evidence.user_ids
    user = evidence.image.user
    measured = f"USER {user or '(none)'}" + ("" if uid is None else f", uid {uid}")
    if uid == 0:
        return failed(measured, limit, "the image runs as root")
    if uid is None:
        return failed(measured, limit, f"the image has no account {user!r}")
    account = evidence.account
    wanted = (expected.user, str(uid if expected.uid is None else expected.uid))
    if user.partition(":")[0] not in wanted or (account and account.name != expected.user):
        return failed(measured, limit, f"USER is {user}, not {expected.user}")
    overridden = ((evidence.container or {}).get("Config") or {}).get("User", user)
    if overridden != user:
        return failed(
            f"{measured}, container as {overridden or 'root'}",
            limit,
            "the container runs as another user than the image's",
        )
    if evidence.process and evidence.process.uid == 0:
        return failed(f"{measured}, process as uid 0", limit, "the kernel shows the container's first process as root")
    return passed(measured, limit)


@GROUP.check(
    "user-no-login",
    "Login shell",
    severity="medium",
    remedy="Create the account with `adduser -D -H -s /sbin/nologin`.",
)
def user_no_login(evidence: Evidence, _expected: Expected) -> Outcome:
    """The account's shell is nologin or false."""
    account = evidence.account
    if account is None:
        return passed("no account", reason="a user id without an account cannot log in")
    if account.shell not in _NO_LOGIN:
        return failed(
            account.shell or "/bin/sh",
            "nologin",
            f"the account {account.name} has the shell {account.shell or '/bin/sh'}",
        )
    return passed(account.shell, "nologin")


@GROUP.check(
    "user-groups",
    "Groups of the user",
    severity="medium",
    remedy="Create the account without further groups, and give volumes the service's own group.",
)
def user_groups(evidence: Evidence, _expected: Expected) -> Outcome:
    """The account's group is not root's, no line of /etc/group lists it in another group, and the kernel shows no
    further group for the container's first process."""
    limit = "its own group"
    account = evidence.account
    _uid, gid = evidence.user_ids
    if account is None and gid is None:
        return skipped("the image's user has no account and no group that could be told")
    names = {group.gid: group.name for group in evidence.groups}
    own = names.get(gid, str(gid)) if gid is not None else ""
    if gid == 0:
        return failed("root", limit, "its group is root's, gid 0")
    others = [group.name for group in evidence.groups if account and account.name in group.members and group.gid != gid]
    if evidence.process:
        others += [names.get(other, str(other)) for other in evidence.process.groups if other != gid and names.get(other) not in others]
    if others:
        return failed(listed([own, *others]), limit, f"it is also in {listed(others)}")
    return passed(own, limit)


@GROUP.check(
    "user-uid",
    "User id",
    severity="low",
    remedy="Set go_service_uid; a fixed number keeps the ownership of volumes the same after a rebuild.",
)
def user_uid(evidence: Evidence, expected: Expected) -> Outcome:
    """The uid of the service's account is go_service_uid, in the image and, if the kernel's record can be read, in
    the running process."""
    uid, _gid = evidence.user_ids
    measured = "unknown" if uid is None else f"uid {uid}"
    if expected.uid is None:
        return skipped("no user id is asked for: go_service_uid is empty", measured)
    limit = f"uid {expected.uid}"
    if uid != expected.uid:
        return failed(measured, limit, "the account has another uid")
    if evidence.process and evidence.process.uid != expected.uid:
        return failed(f"{measured}, process uid {evidence.process.uid}", limit, "the process runs with another uid")
    return passed(measured, limit)


@GROUP.check(
    "user-numeric",
    "USER as a number",
    severity="low",
    remedy="Set go_service_numeric_user: true together with go_service_uid.",
    rules=("hadolint DL3066", "Kubernetes Restricted"),
)
def user_numeric(evidence: Evidence, expected: Expected) -> Outcome:
    """Kubernetes cannot look into an image's /etc/passwd, so it refuses a user name under runAsNonRoot. Only judged
    with go_service_numeric_user: true."""
    user = evidence.image.user
    if not expected.numeric_user:
        return skipped("not asked for: go_service_numeric_user is false", f"USER {user or '(none)'}")
    if not all(part.isdigit() for part in user.split(":")):
        return failed(f"USER {user or '(none)'}", "a number", "USER is a name")
    return passed(f"USER {user}", "a number")


@GROUP.check(
    "accounts",
    "Accounts and passwords",
    severity="high",
    remedy="Lock the account's password (`passwd -l`), or choose another go_service_runtime_image; choose another "
    "go_service_uid for a "
    "number that is taken.",
    rules=("Dockle DKL-LI-0001", "Dockle DKL-LI-0002"),
)
def accounts(evidence: Evidence, _expected: Expected) -> Outcome:
    """No account in the image has an empty password, and no other account has the same uid as the service's."""
    limit = "no empty password, no shared uid"
    if not evidence.accounts:
        return passed("no account", limit)
    open_ones = [account.name for account in evidence.accounts if account.password == ""]
    if open_ones:
        return failed(count(len(open_ones), "open account"), limit, f"no password is needed for {listed(open_ones)}")
    uid, _gid = evidence.user_ids
    same = [account.name for account in evidence.accounts if account.uid == uid]
    if len(same) > 1:
        return failed(f"{len(same)} accounts with uid {uid}", limit, f"{listed(same)} share the uid {uid}")
    return passed(count(len(evidence.accounts), "account"), limit)
