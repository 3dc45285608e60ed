"""What is wrong with arrays and labels is said in the words that scikit-learn's users know."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from likewise.errors import DataError
from likewise.estimators.validation import check_labels, check_records


class Fitted:
    n_features_in_ = 3


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (sparse.eye_array(3), "Sparse data was passed"),
        (np.ones((3, 3)) * 1j, "Complex data not supported"),
        (np.ones(3), "Expected 2D array, got 1D array instead"),
        ([1.0, 2.0], "Reshape your data"),
        (3.5, "Expected 2D array, got scalar array instead"),
        (np.ones((2, 3, 3)), "got 3D array"),
        (np.ones((0, 3)), r"Found array with 0 sample\(s\)"),
        (np.ones((3, 0)), r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required"),
        (np.ones((3, 2)), "X has 2 features, but Fitted is expecting 3 features as input"),
        (np.array([[1, {}, 2]], dtype=object), "Column 2, row 1 holds a dict"),
        ([[1, "a", [2]]], "Column 3, row 1 holds a list"),
    ],
)
def test_what_is_no_table_is_explained(records, words):
    with pytest.raises(DataError, match=words):
        check_records(records, Fitted(), fitted=True)


def test_what_is_a_table_is_left_as_it_is():
    for records in (pd.DataFrame({"a": [1]}), {"a": [1]}, [{"a": 1}], "wine", np.zeros(2, dtype=[("a", float)])):
        assert check_records(records, Fitted(), fitted=True) is records
    mixed = check_records([[1, "a", None], [2.5, "b", True]], Fitted(), fitted=True)
    assert mixed.tolist() == [[1, "a", None], [2.5, "b", True]]


def test_labels_are_one_column_of_the_right_length():
    assert check_labels(["a", "b"], 2).tolist() == ["a", "b"]
    assert check_labels(np.ones((2, 1)), 2).shape == (2,)
    assert check_labels(pd.DataFrame({"y": [1, 2]}), 2).tolist() == [1, 2]
    with pytest.raises(DataError, match="inconsistent"):
        check_labels([1, 2, 3], 2)
    with pytest.raises(DataError, match="1d array"):
        check_labels(np.ones((2, 2)), 2)
    with pytest.raises(DataError, match="Complex"):
        check_labels(np.ones(2) * 1j, 2)
