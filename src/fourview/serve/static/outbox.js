/** Readings that no server has taken yet: kept by the browser until one has. */

const NAME = "fourview-readings", STORE = "unsent";

function opened() {
  return new Promise((done, failed) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE, { keyPath: "submission" });
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
}

async function within(mode, act) {
  const base = await opened();
  return new Promise((done, failed) => {
    const transaction = base.transaction(STORE, mode), asked = act(transaction.objectStore(STORE));
    transaction.oncomplete = () => {
      base.close();
      done(asked.result);
    };
    transaction.onerror = () => failed(transaction.error);
  });
}

export const outbox = {
  put: (sheet) => within("readwrite", (store) => store.put(sheet)),
  drop: (submission) => within("readwrite", (store) => store.delete(submission)),
  all: () => within("readonly", (store) => store.getAll()),
};
