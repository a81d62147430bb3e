// Requests to the server: its API of recordings, as docs/reference/http.md has it.

export const token = {
  get: () => sessionStorage.getItem("token") ?? undefined,
  set: (value) => sessionStorage.setItem("token", value),
};

class ServerError extends Error {
  constructor({ message, code }, status, retryAfter) {
    super(message);
    Object.assign(this, { code, status, retryAfter });
  }
}

// Have a file recognised; call take(event) for each event of the answer.
export async function transcribe(file, hotwords, take, signal) {
  const form = new FormData();
  form.set("response_format", "verbose_json");
  form.append("timestamp_granularities[]", "word");
  form.append("timestamp_granularities[]", "segment");
  form.set("stream", "true");
  form.set("progress", "true");
  form.set("prompt", hotwords.join("\n"));
  form.set("file", file);
  const headers = token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
  const address = new URL("v1/audio/transcriptions", document.baseURI);
  const answer = await fetch(address, { method: "POST", body: form, headers, signal });
  if (!answer.ok) {
    const { error } = await answer.json();
    throw new ServerError(error, answer.status, Number(answer.headers.get("Retry-After")));
  }
  for await (const event of events(answer.body)) {
    if (event.error) throw new ServerError(event.error, 500);
    take(event);
  }
}

async function* events(body) {
  let text = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const whole = text.split("\n\n");
    text = whole.pop();
    for (const lines of whole) {
      const data = lines.replace(/^data: /, "");
      if (data !== "[DONE]") yield JSON.parse(data);
    }
  }
}
