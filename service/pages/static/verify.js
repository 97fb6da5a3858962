// Verifies one entry in the reader's own browser: its data, its leaf, the way to the root, the signature of the root.
// After C2SP tlog-proof, tlog-checkpoint and signed-note, and RFC 6962 for the hashes.

const encoder = new TextEncoder();

function bytes(base64) {
  return Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
}

function text(array) {
  return btoa(String.fromCharCode(...array));
}

function hex(array) {
  return [...array].map((each) => each.toString(16).padStart(2, "0")).join("");
}

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));
}

// RFC 8785 for data with ASCII names and whole numbers, which is all that the log holds.
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

// The root that a leaf and a proof lead to (RFC 9162, section 2.1.3.2).
async function rootOf(leaf, index, size, proof) {
  let node = index;
  let last = size - 1;
  let hash = leaf;
  const one = Uint8Array.of(1);
  for (const sibling of proof) {
    if (last === 0) throw new Error("the proof is too long");
    if (node % 2 === 1 || node === last) {
      hash = await sha256(one, sibling, hash);
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2);
        last = Math.floor(last / 2);
      }
    } else {
      hash = await sha256(one, hash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) throw new Error("the proof is too short");
  return hash;
}

function parseProof(proof) {
  const [head, ...rest] = proof.split("\n\n");
  const lines = head.split("\n");
  if (lines[0] !== "c2sp.org/tlog-proof@v1") throw new Error("not a tlog-proof");
  const index = Number(lines.find((line) => line.startsWith("index ")).slice(6));
  const hashes = lines.filter((line, place) => place > 0 && !line.startsWith("index ") && !line.startsWith("extra ")).map(bytes);
  const body = `${rest[0]}\n`;
  const [origin, size, root] = body.split("\n");
  return { index, hashes, body, origin, size: Number(size), root, signatures: rest[1].split("\n").filter(Boolean) };
}

async function checkSignature(checkpoint, vkey) {
  const [, name, id, key] = /^(.+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey.trim());
  const raw = bytes(key);
  if (raw[0] !== 1) throw new Error("the key is not Ed25519");
  if (name !== checkpoint.origin) throw new Error("the checkpoint is of another log");
  const expected = hex((await sha256(encoder.encode(`${name}\n`), raw)).slice(0, 4));
  if (expected !== id) throw new Error("the id of the key is wrong");
  const line = checkpoint.signatures.find((each) => each.startsWith(`— ${name} `));
  const signature = line === undefined ? new Uint8Array() : bytes(line.split(" ")[2]);
  if (hex(signature.slice(0, 4)) !== id) throw new Error("the checkpoint is not signed with this key");
  const imported = await crypto.subtle.importKey("raw", raw.slice(1), "Ed25519", false, ["verify"]);
  if (!(await crypto.subtle.verify("Ed25519", imported, signature.slice(4), encoder.encode(checkpoint.body)))) {
    throw new Error("the signature is wrong");
  }
}

async function fetched(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json, text/plain" } });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer;
}

// Yields each step that holds, by name and value; throws where one does not.
export async function* verify(position) {
  const vkey = await (await fetched("/log/vkey")).text();
  const event = await (await fetched(`/v1/events/${position}`)).json();
  const proof = parseProof(await (await fetched(`/v1/events/${position}/proof`)).text());
  const entry = JSON.parse(event.entry);
  for (const name of ["position", "type", "subject", "source", "id", "recorded", "actor", "version", "occurred"]) {
    if (entry[name] !== event[name]) throw new Error(`${name} is not what the entry says`);
  }
  if (entry.position !== position || proof.index !== position - 1) throw new Error("the proof is of another entry");
  if (event.data === undefined || event.data === null) {
    yield ["erased", entry.data_sha256];
  } else {
    const hash = hex(await sha256(bytes(event.salt), encoder.encode(canonical(event.data))));
    if (hash !== entry.data_sha256) throw new Error("the data is not what the entry hashes");
    yield ["data", hash];
  }
  const leaf = await sha256(Uint8Array.of(0), encoder.encode(event.entry));
  yield ["leaf", text(leaf)];
  if (text(await rootOf(leaf, proof.index, proof.size, proof.hashes)) !== proof.root) throw new Error("the root is another");
  yield ["inclusion", proof.root];
  await checkSignature(proof, vkey);
  yield ["signature", proof.origin];
  return { size: proof.size, vkey: vkey.trim() };
}

function filled(message, values) {
  return Object.entries(values).reduce((whole, [name, value]) => whole.replace(`{${name}}`, value), message);
}

export function offer(place) {
  const steps = place.querySelector(".steps");
  const add = (message, style, detail) => {
    const item = document.createElement("li");
    item.textContent = message;
    if (style) item.className = style;
    if (detail) {
      const code = document.createElement("code");
      code.textContent = detail;
      item.append(" ", code);
    }
    steps.append(item);
  };
  const button = place.querySelector("button");
  button.hidden = false; // not before: without this script it would do nothing
  button.addEventListener("click", async () => {
    steps.replaceChildren();
    const position = Number(place.dataset.verify);
    try {
      const run = verify(position);
      let step = await run.next();
      while (!step.done) {
        const [name, detail] = step.value;
        add(place.dataset[name], "", detail);
        step = await run.next();
      }
      add(filled(place.dataset.passed, { n: position, size: step.value.size }), "passed");
      add(filled(place.dataset.key, { key: step.value.vkey }));
    } catch (error) {
      add(filled(place.dataset.failed, { reason: error.message }), "failed");
    }
  });
}
