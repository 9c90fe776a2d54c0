// Requests to the server. The API key stands in a header, never in an address.

export class Refused extends Error {
  constructor(status, reason, message) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

let key = read();

function read() {
  try {
    return sessionStorage.apiKey || "";
  } catch {
    return "";
  }
}

export function useKey(value) {
  key = value.trim();
  try {
    sessionStorage.apiKey = key;
  } catch {
    // it holds for this page alone
  }
}

export const hasKey = () => key !== "";

export const pipelines = () => ask("/playground/pipelines");

export const search = (question, signal) =>
  ask("/playground/search", {
    method: "POST",
    body: JSON.stringify(question),
    headers: { "Content-Type": "application/json" },
    signal,
  });

async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (key) headers.set("X-API-Key", key);
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "away", "The server does not answer. Is it still running?");
  }
  const value = await answer.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return {};
  });
  if (answer.ok) return value;
  const { reason = "failed", message = value.detail ?? `The server answered with status ${answer.status}.` } =
    value.error ?? {};
  throw new Refused(answer.status, reason, String(message));
}
