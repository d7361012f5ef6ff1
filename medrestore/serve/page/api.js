// What the page asks of the server. Errors are the sentences that the server gives.

async function answered(response) {
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(told.error || `the page does not answer (${response.status}); start it again`);
  return told;
}

async function ask(method, path, body) {
  let response;
  try {
    response = await fetch(path, { method, body: body && JSON.stringify(body), credentials: "same-origin" });
  } catch {
    throw new Error("the page does not answer; see whether medrestore serve still runs");
  }
  return answered(response);
}

export const about = () => ask("GET", "/api/about");
export const create = (kind) => ask("POST", `/api/jobs/${kind}`);
export const start = (id, values, more, sample) => ask("POST", `/api/jobs/${id}/start`, { values, more, sample });
export const look = (id) => ask("GET", `/api/jobs/${id}`);
export const cancel = (id) => ask("POST", `/api/jobs/${id}/cancel`);
export const remove = (id) => ask("DELETE", `/api/jobs/${id}`);

export async function pixels(id, number, view) {
  const response = await fetch(`/api/jobs/${id}/views/${number}`, { credentials: "same-origin" });
  if (!response.ok) throw new Error("an image of this job is not there any more");
  const data = await response.arrayBuffer();
  return view.bytes ? new Uint8Array(data) : new Float32Array(data);
}

// A file in full; `moved` is called with the share that was sent, and `signal` aborts it.
export function upload(id, role, suffix, file, moved, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `/api/jobs/${id}/files/${role}?suffix=${encodeURIComponent(suffix)}`);
    request.upload.onprogress = (event) => event.lengthComputable && moved(event.loaded / event.total);
    request.onerror = () => reject(new Error("the file could not be sent; it may be too large, or the page has ended"));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    request.onload = () => {
      let told = {};
      try { told = JSON.parse(request.responseText); } catch { /* said below */ }
      if (request.status === 200) resolve(told);
      else reject(new Error(told.error || `the page does not answer (${request.status}); start it again`));
    };
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
