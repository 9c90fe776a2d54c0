// What was done, in words.

import { make, movement } from "./cards.js";

const WORDS = { applied: "Reranked", degraded: "Degraded", bypassed: "Not reranked" };

const REASONS = {
  busy: "So many requests wait for scores that this one was not taken.",
  circuit_open: "The model’s server has failed several times in a row and is left alone for a few seconds.",
  deadline: "The model did not answer before the deadline. If it is still being loaded, search again in a moment.",
  fallback: "The pipeline’s own model failed: another one from its fallbacks answered.",
  no_passages: "None of the hits has text in the fields that the model reads: check the pipeline’s passage template.",
  no_query_text: "No words for the model were found in the request.",
  odd_reply: "The engine’s answer for the whole rank window could not be read.",
  scorer_failed: "The model failed or is away. If its process is being started again, search again in a moment.",
  shard_failures: "The engine answered from a part of the index only.",
  unknown_model: "The server does not hold the pipeline’s model.",
  window_refused: "The engine refuses as many hits as the rank window needs: lower rank_window.",
};

/** What a failure without an answer is called. */
export const FAILURES = {
  away: "The server is away",
  bad_request: "This cannot be searched",
  bad_reply: "The engine answered oddly",
  busy: "The model is busy",
  deadline: "The model did not answer in time",
  engine: "The engine cannot answer",
  scorer_failed: "The model failed",
  unknown_pipeline: "No such pipeline",
};

/** A model's name without its owner's. */
export const brief = (model) => String(model).split("/").at(-1);

const count = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

/** A word, a sentence, and a warning where something is not as it should be. */
export function outcome({ hits, first_stage: before, reranked, summary, fetched }) {
  const word = WORDS[summary.status];
  if (summary.status !== "applied") {
    const warning = REASONS[summary.reason] ?? `Reason: ${summary.reason}.`;
    return { word, sentence: `${count(fetched, "hit")} in the engine’s order.`, warning };
  }
  if (summary.reason === "outside_window") return { word: "Behind the window", sentence: `Only the first ${summary.rank_window} hits are reranked.` };
  const moved = reranked.filter((place) => movement(hits[place]) !== 0).length;
  const came = reranked.filter((place) => !before.includes(place)).length;
  const parts = [`${brief(summary.model)} scored ${count(summary.scored, "hit")}`, moved && moved === reranked.length ? `all ${moved} shown moved` : `${moved} of the ${reranked.length} shown moved`];
  if (came) parts.push(`${came} came from below`);
  if (summary.dropped) parts.push(`${summary.dropped} removed for low scores`);
  return { word, sentence: `${parts.join(", ")}.`, warning: summary.reason ? REASONS[summary.reason] : undefined };
}

/** How long the engine and the model took, as a bar and in figures. */
export function timing({ engine_ms: engine, scorer_ms: model, total_ms: total }) {
  const rest = Math.max(0, total - engine - model);
  const pieces = [["engine", engine], ["model", model], ["rest", rest]].map(([name, value]) => {
    const piece = make("i", name);
    piece.style.flexGrow = String(Math.max(value, 0.001));
    return piece;
  });
  const figures = [["engine", "engine", engine], ["model", "model", model], ["", "total", total]];
  return [
    make("span", "times", pieces, { "aria-hidden": "true" }),
    make("span", "figures", figures.map(([name, word, ms]) =>
      make("span", "swatch", [...(name ? [make("i", name)] : []), `${word} `, make("b", "", milliseconds(ms))]))),
  ];
}

function milliseconds(value) {
  return value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ms`;
}
