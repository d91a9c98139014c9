"""The comparison of tables, and what is marked in it."""

from __future__ import annotations

from backup.peek.tables import NO_TABLE, Pair, Rows, Table, side_by_side

SALE = Table("public", "sale", "public.sale", "r", 81_920, 1000)
LOG = Table("public", "log", "public.log", "r", 5_000_000_000, 40_000_000)


def test_counted_estimated_and_missing() -> None:
    pairs = (
        Pair(LOG, Rows(40_000_000), Rows(41_000_000)),
        Pair(SALE, Rows(1000, is_exact=True), Rows(1, is_exact=True)),
        Pair(SALE, Rows(5, is_exact=True), Rows(5, is_exact=True)),
        Pair(SALE, Rows(5, is_exact=True), NO_TABLE),
        Pair(SALE, Rows(5, is_exact=True), Rows(None)),
    )
    assert side_by_side(pairs) == [
        "  table           size         peek         live  since then",
        "  public.log    5.0 GB  ~40 000 000  ~41 000 000",
        "  public.sale  81.9 KB        1 000            1        -999",
        "  public.sale  81.9 KB            5            5        same",
        "  public.sale  81.9 KB            5     no table",
        "  public.sale  81.9 KB            5            ?",
        "  ~ is an estimate of the server's statistics: counting would have taken too long",
    ]


def test_without_an_estimate_there_is_no_word_on_estimates() -> None:
    lines = side_by_side([Pair(SALE, Rows(1, is_exact=True), Rows(2, is_exact=True))])
    assert len(lines) == 2
    assert lines[-1].endswith("  +1")


def test_an_empty_database() -> None:
    assert side_by_side([]) == ["  it holds no tables"]


def test_without_the_live_one_there_are_no_columns_of_it() -> None:
    assert side_by_side([Pair(LOG, Rows(40_000_000)), Pair(SALE, Rows(1000, is_exact=True))]) == [
        "  table           size         peek",
        "  public.log    5.0 GB  ~40 000 000",
        "  public.sale  81.9 KB        1 000",
        "  ~ is an estimate of the server's statistics: counting would have taken too long",
    ]
