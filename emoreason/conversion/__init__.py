"""From what researchers download to records: what the scripts of data_prep/ share.

A script says what its data set is (`card.Card`), yields rows of annotation (`Row`) and makes records of each. The rest is here:
reading tables without trusting them (`tables`, `arrays`), cells (`cells`), paths and media of the source folder (`source`),
the account of what became of every row (`account`), and the command line (`script`).
"""
