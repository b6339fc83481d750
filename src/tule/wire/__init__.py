"""Google's wire: two carriers over one handler table. Knows no behaviour and no product."""
