"""What `workshop.datasets` and `workshop.inputs` are made of: finding, fetching, verifying and reading data.

    catalogue    data/datasets.toml as records            addresses  name look-ups and what may be reached
    sources      where a form of a dataset may lie        reach      which hosts can't be reached, remembered
    download     verified, resumed downloads              web        one picture from a web address, within limits
    formats      pictures decoded once and kept           decoding   one picture's bytes to pixels
    cifar        the original archive, no pickle run      files      hashes, space, atomic writes
    samples      what stands in without data              drawings, shapes   the drawn pictures
    cells        tables of numbers and words, fast        surveys    what passengers answered
    texts        tables of labelled texts                 passengers the made-up ones

Knows no AWS, no framework and no notebooks.
"""
