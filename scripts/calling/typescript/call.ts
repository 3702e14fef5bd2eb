// Calls a server with the types that openapi-typescript made, and openapi-fetch:
// `node call.js URL KEY`; KEY is empty where the server asks for none.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Json = `application/${string}json`;
type Schemas = components["schemas"];

const [url = "", key = ""] = process.argv.slice(2);
const headers = key ? { Authorization: `Bearer ${key}` } : {};
const client = createClient<paths, Json>({ baseUrl: url, headers });

async function predicted(body: Schemas["PredictRequest"]) {
  const { data, error } = await client.POST("/predict", { body });
  assert(data, JSON.stringify(error));
  return data;
}

async function askDefaultModel() {
  const models = await client.GET("/models");
  assert(models.data);
  const path = { name: models.data.default };
  const { data: card } = await client.GET("/models/{name}", { params: { path } });
  assert(card?.classes && card.feature_names);
  const row = card.feature_names.map((_, position) => 0.5 * position);
  const record = Object.fromEntries(card.feature_names.map((name, at) => [name, row[at] ?? 0]));
  const answer = await predicted({ inputs: [row] });
  const classes: string[] | undefined = answer.classes;
  assert.deepEqual(classes, card.classes.slice(1));
  assert.equal(answer.link, undefined);
  assert.deepEqual(await predicted({ inputs: [record] }), answer);
  const one = await predicted({ inputs: record });
  assert.deepEqual(await predicted({ inputs: row }), one);
  assert.deepEqual([one.probabilities], answer.probabilities);
  assert.deepEqual((await predicted({ inputs: [[[[row]]]] })).shape, [1, 1, 1, 1, 1]);
}

async function askSigmoid() {
  const { data } = await client.POST("/sigmoid", { body: { inputs: [-1, 0, 1] } });
  assert(data && "outputs" in data && Array.isArray(data.outputs));
  const rounded = (data.outputs as number[]).map((value) => value.toFixed(4));
  assert.deepEqual(rounded, ["0.2689", "0.5000", "0.7311"]);
  const body: Schemas["SigmoidRequest"] = { inputs: null, batch: [0, [[1]], []], dtype: null };
  const { data: many } = await client.POST("/sigmoid", { body });
  assert(many && "batch" in many);
  assert.equal(many.batch[0], 0.5);
  assert.deepEqual(many.shapes, [[], [1, 1], [0]]);
}

async function askWrongly() {
  const ragged = await client.POST("/sigmoid", { body: { inputs: [1, [2]] as number[] } });
  const problem: Schemas["Problem"] | undefined = ragged.error;
  assert.deepEqual([problem?.code, problem?.pointer], ["ragged", "/inputs/1"]);
  const few = await client.POST("/predict", { body: { inputs: [1] } });
  assert.deepEqual([few.error?.status, few.error?.code], [422, "features"]);
  // @ts-expect-error Text is no tensor.
  await client.POST("/sigmoid", { body: { inputs: "1" } });
}

await askDefaultModel();
await askSigmoid();
await askWrongly();
if (key) {
  const { error } = await createClient<paths, Json>({ baseUrl: url }).POST("/sigmoid", { body: { inputs: 1 } });
  assert.deepEqual([error?.status, error?.code], [401, "key_required"]);
}
