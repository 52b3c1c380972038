"""Records as the rows that other frameworks train on, and those rows read back; a module a framework, all with the same names.

    TITLE, KINDS, SUFFIXES, EMBEDS, PLACEHOLDERS
    refusal(sample, kind)             why the framework cannot train on a sample, or None
    notes(sample, kind)               what the rows do not say of it, and who has to say it instead
    row(sample, kind, survey, number)  the row, once the media have been given their paths
    schema(kind, survey, embed)       the columns and their types
    read(row)                         the sample of a row
    how_to_load(out, kind, survey)    the framework's own command or setting
"""
