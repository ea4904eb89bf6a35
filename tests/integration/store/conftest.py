"""The tests of the store are imported here: their assertions are to speak as they do there."""

import pytest

pytest.register_assert_rewrite(*(f"tests.unit.store.test_store{end}" for end in ("", "_claims", "_jobs", "_sessions")))
