"""An LSTM that learns, in NumPy alone: from which writing system is a syllable, told letter by letter?

Unicode spells the syllables of many scripts in Latin letters: GGWELG is Hangul, NDUT is Yi, QHWAA is Ethiopic. The
names come with Python (`unicodedata`), so there is nothing to download. The gradients are those that lstm-spec derives;
Adam stands below. `--torch` trains the same layer in PyTorch, from the same weights, on the same batches.

    python examples/10_training.py [--torch] [--epochs 12]
"""

import argparse
import unicodedata

import numpy as np
from rich.progress import track

import lstm_spec as ls

SCRIPTS = ("HANGUL SYLLABLE", "YI SYLLABLE", "ETHIOPIC SYLLABLE", "VAI SYLLABLE", "CANADIAN SYLLABICS", "BAMUM LETTER")
LETTERS = " ABCDEFGHIJKLMNOPQRSTUVWXYZ-'0123456789"
EACH, LONGEST = 280, 12  # names of a script; letters of a name
UNITS, BATCH, RATE = 24, 40, 0.01


def read_names(rng):
    """x (T, B, letters), one-hot, the names ending at the last step; and the script of each."""
    found = {script: [] for script in SCRIPTS}
    for code in range(0x1000, 0x17000):
        name = unicodedata.name(chr(code), "")
        script = next((s for s in SCRIPTS if name.startswith(s + " ")), None)
        if script and len(own := name[len(script) + 1 :]) <= LONGEST and set(own) <= set(LETTERS):
            found[script].append(own)
    names = [(own, label) for label, s in enumerate(SCRIPTS) for own in rng.permutation(found[s])[:EACH]]
    x = np.zeros((LONGEST, len(names), len(LETTERS)))
    for sample, (own, _) in enumerate(names):
        for step, letter in enumerate(own.rjust(LONGEST)):
            x[step, sample, LETTERS.index(letter)] = 1
    order = rng.permutation(len(names))
    return x[:, order], np.array([label for _, label in names])[order]


def batches(count, epochs, rng):
    """The samples of each step of the training."""
    return [part for _ in range(epochs) for part in np.array_split(rng.permutation(count), -(-count // BATCH))]


class Adam:
    """Kingma & Ba 2015, over a dict of arrays."""

    def __init__(self, weights):
        self.mean = {name: np.zeros_like(w) for name, w in weights.items()}
        self.square = {name: np.zeros_like(w) for name, w in weights.items()}
        self.steps = 0

    def step(self, weights, gradients):
        self.steps += 1
        for name, d in gradients.items():
            self.mean[name] += 0.1 * (d - self.mean[name])
            self.square[name] += 0.001 * (d * d - self.square[name])
            mean, square = self.mean[name] / (1 - 0.9**self.steps), self.square[name] / (1 - 0.999**self.steps)
            weights[name] -= RATE * mean / (np.sqrt(square) + 1e-8)


def train(layer, weights, head, x, labels, plan):
    """The accuracy on other samples, as a function of them, after the training."""
    run = ls.compile(layer, gradient=True)
    weights, head = {n: w.copy() for n, w in weights.items()}, {n: w.copy() for n, w in head.items()}
    of_layer, of_head = Adam(weights), Adam(head)
    for part in track(plan, description="NumPy  "):
        y, _ = run(x[:, part], weights)
        scores = y @ head["W"].T + head["b"]
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        d_scores = (shares - np.eye(len(SCRIPTS))[labels[part]]) / len(part)  # of the mean cross-entropy
        _, _, grads = run.gradient(x[:, part], weights, d_scores @ head["W"])
        of_layer.step(weights, grads.weights)
        of_head.step(head, {"W": d_scores.T @ y, "b": d_scores.sum(axis=0)})

    def accuracy(x, labels):
        return float(((run(x, weights)[0] @ head["W"].T + head["b"]).argmax(axis=1) == labels).mean())

    return accuracy


def train_in_torch(layer, weights, head, x, labels, plan):
    """The same with torch.nn, torch.optim and torch's own gradients."""
    import torch

    lstm = torch.nn.LSTM(len(LETTERS), UNITS, dtype=torch.float64)
    tensors = ls.dialects.get("pytorch").pack(weights, layer.with_(output="sequence"))
    lstm.load_state_dict({name: torch.tensor(array) for name, array in tensors.items()})
    linear = torch.nn.Linear(UNITS, len(SCRIPTS), dtype=torch.float64)
    linear.load_state_dict({"weight": torch.tensor(head["W"]), "bias": torch.tensor(head["b"])})
    optimizer = torch.optim.Adam([*lstm.parameters(), *linear.parameters()], lr=RATE)
    given, wanted = torch.tensor(x), torch.tensor(labels)
    for part in track(plan, description="PyTorch"):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(linear(lstm(given[:, part])[0][-1]), wanted[part])
        loss.backward()
        optimizer.step()

    def accuracy(x, labels):
        with torch.no_grad():
            scores = linear(lstm(torch.tensor(x))[0][-1])
        return float((scores.argmax(dim=1).numpy() == labels).mean())

    return accuracy


def main(arguments=None):
    """Train, and print the accuracy on names that were not trained on; returns it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--torch", action="store_true", help="in PyTorch")
    parser.add_argument("--epochs", type=int, default=12)
    asked = parser.parse_args(arguments)
    rng = np.random.default_rng(0)
    x, labels = read_names(rng)
    test = len(labels) // 5
    layer = ls.lstm(len(LETTERS), UNITS, bias="two", output="last")
    weights = layer.random(seed=1)
    head = {"W": rng.uniform(-0.2, 0.2, (len(SCRIPTS), UNITS)), "b": np.zeros(len(SCRIPTS))}
    plan = batches(len(labels) - test, asked.epochs, rng)
    learn = train_in_torch if asked.torch else train
    accuracy = learn(layer, weights, head, x[:, test:], labels[test:], plan)(x[:, :test], labels[:test])
    most = np.bincount(labels[:test]).max() / test
    print(f"accuracy {accuracy:.1%} on {test} names not trained on; the most common script alone is {most:.1%}")
    return accuracy


if __name__ == "__main__":
    main()
