"""What files with credentials are called, and what only looks like it."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.credentials import is_named_so


@pytest.mark.parametrize("name", [".env", ".env.local", "ID_RSA", "server.pem", "Client.KEY", ".pypirc", "credentials.json", "site.ovpn"])
def test_a_file_that_holds_credentials_is_known_in_whatever_case(name: str) -> None:
    assert is_named_so(name)


@pytest.mark.parametrize("name", ["environment.go", "id_rsa.pub", "id_generator.go", "pem", "keys.go", "secret.go", "x.pem.go"])
def test_a_file_that_is_called_alike_is_none(name: str) -> None:
    assert not is_named_so(name)


def test_a_directory_is_known_by_its_whole_name_alone() -> None:
    assert [is_named_so(name, directory=True) for name in (".SSH", ".azure", "credentials", "keys.pem")] == [True, True, False, False]
