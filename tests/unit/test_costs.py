"""What the page on costs says is computed from what was measured and from prices, as a bill is."""

from __future__ import annotations

import re

import pytest
from scripts.costs import BEGIN, PAGE, PRICES, USERS, Asked, Measured, Prices, User, month


def test_a_bill() -> None:
    """Storage, requests, egress, retrieval and what is deleted early are added up by hand."""
    none = Asked(0, 0, 0)
    measured = Measured(
        first_fixed=Asked(1000, 0, 0),
        first_gb=Asked(100, 0, 0),
        unchanged=Asked(10, 20, 0),
        prune_fixed=none,
        prune_gb=Asked(0, 1000, 2e9),
        check=Asked(0, 500, 1e9),
        restore_gb=Asked(0, 100, 1e9),
    )
    cost = month(User("", 10, 1, 2), Prices("", 0.1, 10, 1, 0.01, 0.09, 60), measured)
    assert cost["stored"] == pytest.approx(1.0)
    # 60 backups of 10 writes and 20 reads, and 30 GB of 100 writes.
    assert cost["backups"] == pytest.approx((600 + 3000) * 0.01 + 1200 * 0.001)
    # 30 GB gone: 30,000 reads and 60 GB; a check; and 30 GB paid for a month longer.
    assert cost["prune, check"] == pytest.approx(30_500 * 0.001 + 61 * 0.1 + 30 * 0.1)
    assert cost["first"] == pytest.approx((1000 + 1000) * 0.01)
    assert cost["restore"] == pytest.approx(1000 * 0.001 + 10 * 0.1)


def test_the_page_has_these_prices() -> None:
    """What each user pays for storage is the product of the two numbers in the script, in each class."""
    written = PAGE.read_text("utf-8").partition(BEGIN)[2]
    for user in USERS:
        table = written.partition(f"**{user.name}**")[2].partition("**")[0]
        stored = {row[0].strip(): row[1] for row in re.findall(r"^\| ([^|]+) \| ([0-9.,]+) \|", table, re.MULTILINE)}
        assert stored == {prices.name: f"{user.stored * prices.stored:,.2f}" for prices in PRICES}
