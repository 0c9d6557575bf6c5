"""From a text to the numbers that a network reads, the same in training and in serving.

Try it:  python -c "from workshop.ml.text.cleaning import Cleaning; print(Cleaning().words('I do NOT like it!'))"

    cleaning      a text to words: the one place where texts are cleaned
    porter        NLTK's stemmer, without the rest of NLTK
    vocabulary    words to numbers, and the spelling of words that no training text had
    encoding      texts to the inputs of model.onnx
    lemmas        the lemma of a word, asked of WordNet when a network is trained
    labels        each text once, with its commonest label
    examples      labelled texts: no repeats, split by class
    artefact      a trained network with all that belongs to it, checked before it is used

Needs NumPy and NLTK's stemmer, no network, no NLTK data, no TensorFlow: a service imports this and nothing else of ml.
"""
