"""Two documents for demonstrations and tests: `van-ban.pdf` from an office program, `ban-quet.pdf` a scan."""
