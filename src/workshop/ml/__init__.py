"""Learning from pictures, the same in MXNet and in Keras, from texts, and from the answers to a survey.

Try it:  python -c "from workshop.ml import profiles; print(profiles.PROFILES)"

    pictures      labelled pictures as arrays: read, split, decode
    augmentation  what training changes in a picture, and the numbers a network sees
    architecture  our network as a table of weights: names, shapes, first values
    profiles      how long and how hard to train
    training      the loop, its progress lines and, in saved_state, where a killed run goes on
    group         who learns together: a worker's rank, its share of each batch
    exchange      how the workers of a group come to the same numbers
    inference     from pictures, or photos of any size, to probabilities
    network       train, predict, save, load: the same functions in MXNet and in Keras
    artefact      trained weights with their metadata, in open formats, for both frameworks
    squeezenet    the network trained on ImageNet, read from 0.66 MB, in both frameworks
    transfer      new classes on top of SqueezeNet's features
    verdict       from probabilities to words: top 5, cat or not
    metrics       accuracy, AUC, confusion matrix
    figures       learning curves and classified pictures
    sentiment     what texts say: the steps of its jobs; in sentiment_…, layouts, network, training, ONNX, figures
    satisfaction  how satisfied passengers are: a survey's answers to numbers, measures, boosting, figures
    text          a text to the numbers that a network reads, in training and in serving

Knows no AWS, no HTTP and no notebooks, and loads a framework only when a function that needs it is called.
"""
