"""Call a server with what openapi-python-client made, which is the package `generated`.

Runs in the environment of that generator, as `python_client.py URL KEY`; KEY is empty
where the server asks for none.
"""

import sys

from generated import AuthenticatedClient, Client
from generated.api.inference import predict, sigmoid
from generated.api.models import get_model, list_models
from generated.models import (
    Card,
    Dtype,
    FeatureRecord,
    ModelList,
    PredictRequest,
    PredictResponse,
    Problem,
    SigmoidBatchResponse,
    SigmoidRequest,
    SigmoidResponse,
)


def ask_default_model(client: Client) -> None:
    """Ask for predictions of rows and of records, in all forms."""
    models = list_models.sync(client=client)
    assert isinstance(models, ModelList)
    card = get_model.sync(models.default, client=client)
    assert isinstance(card, Card)
    row = [0.5 * position for position in range(card.features)]
    record = FeatureRecord.from_dict(dict(zip(card.feature_names, row, strict=True)))
    answers = []
    for inputs in ([row], [record], row, record, [[[[row]]]]):
        answer = predict.sync(client=client, body=PredictRequest(inputs=inputs))
        assert isinstance(answer, PredictResponse), answer
        assert answer.classes == card.classes[1:]
        assert answer.link != "softmax"
        answers.append(answer)
    assert answers[0] == answers[1]
    assert answers[2] == answers[3]
    assert answers[0].probabilities == [answers[2].probabilities]
    assert answers[4].shape == [1, 1, 1, 1, 1]


def ask_sigmoid(client: Client) -> None:
    """Ask for the sigmoid of a tensor and of several, with fields that are null."""
    one = sigmoid.sync(client=client, body=SigmoidRequest(inputs=[-1, 0, 1]))
    assert isinstance(one, SigmoidResponse), one
    assert [round(value, 4) for value in one.outputs] == [0.2689, 0.5, 0.7311]
    body = SigmoidRequest(inputs=None, batch=[0, [[1]], []], dtype=None)
    many = sigmoid.sync(client=client, body=body)
    assert isinstance(many, SigmoidBatchResponse), many
    assert many.batch[0] == 0.5
    assert many.shapes == [[], [1, 1], [0]]
    assert many.dtype == Dtype.FLOAT32


def ask_wrongly(client: Client) -> None:
    """Ask what is answered with an error."""
    problem = sigmoid.sync(client=client, body=SigmoidRequest(inputs=[1, [2]]))
    assert isinstance(problem, Problem), problem
    assert (problem.code, problem.pointer) == ("ragged", "/inputs/1")
    problem = predict.sync(client=client, body=PredictRequest(inputs=[1]))
    assert isinstance(problem, Problem), problem
    assert (problem.status, problem.code) == (422, "features")


def main(url: str, key: str) -> None:
    """Call the server at `url`."""
    client = AuthenticatedClient(url, token=key) if key else Client(url)
    ask_default_model(client)
    ask_sigmoid(client)
    ask_wrongly(client)
    if key:
        answer = sigmoid.sync(client=Client(url), body=SigmoidRequest(inputs=1))
        assert isinstance(answer, Problem), answer
        assert (answer.status, answer.code) == (401, "key_required")


main(*sys.argv[1:])
