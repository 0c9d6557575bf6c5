"""The layouts of the sentiment networks: which fits how many texts, and what parameters may change."""

import pytest

from workshop.errors import SettingsError
from workshop.ml import sentiment_layouts


def test_published_layout_is_as_it_was_published():
    found = sentiment_layouts.layout("published", 400)
    assert (found.word_size, found.units, found.dropout, found.activation) == (32, 32, 0.2, "relu")
    assert (found.num_epochs, found.batch_size, found.validation_share) == (20, 10, 0.1)


def test_ours_fits_the_number_of_texts():
    few, some, many = (sentiment_layouts.layout("ours", count) for count in (600, 7_000, 27_000))
    assert few.batch_size < some.batch_size < many.batch_size and few.num_epochs > many.num_epochs


def test_parameters_change_a_layout_and_wrong_ones_are_refused():
    found = sentiment_layouts.layout("ours", 600, num_epochs=7, batch_size=0, cleaning="lower,strip,stem")
    assert (found.num_epochs, found.batch_size, found.cleaning) == (7, 16, ("lower", "strip", "stem"))
    with pytest.raises(SettingsError, match="no layout 'theirs'"):
        sentiment_layouts.layout("theirs", 600)
    with pytest.raises(SettingsError, match=r"num_epochs=-1, learning_rate=-0\.1"):
        sentiment_layouts.layout("ours", 600, num_epochs=-1, learning_rate=-0.1)
