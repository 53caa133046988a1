// The npm package age-encryption opens what is ours, and seals to our recipient.
//
//     node age-encryption.mjs DIR NODE_MODULES

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, modules] = process.argv.slice(2);
const entry = join(modules, "age-encryption", "dist", "index.js");
const { Decrypter, Encrypter } = await import(pathToFileURL(entry));

const bytes = (name) => readFileSync(join(folder, name));
const text = (name) => bytes(name).toString("utf8").trim();

// Opens NAME.age and compares what is in it with NAME.plain, to the byte.
async function opens(name, key) {
    const decrypter = new Decrypter();
    key(decrypter);
    const opened = Buffer.from(await decrypter.decrypt(bytes(`${name}.age`)));
    if (!opened.equals(bytes(`${name}.plain`))) {
        throw new Error(`${name}: age-encryption opened something else`);
    }
    console.log(`age-encryption opened a ${name}, exactly`);
}

// Opening with another key must fail, else the checks above show nothing.
async function staysShut(name, key) {
    const decrypter = new Decrypter();
    key(decrypter);
    const opened = await decrypter.decrypt(bytes(`${name}.age`)).catch(() => null);
    if (opened !== null) throw new Error(`${name}: opened with a key that is not its own`);
}

await opens("record", (d) => d.addPassphrase(text("record.passphrase")));
await opens("grant", (d) => d.addIdentity(text("device.identity")));
await opens("link", (d) => d.addIdentity(text("epoch.identity")));
await staysShut("record", (d) => d.addPassphrase(`${text("record.passphrase")}.`));
await staysShut("grant", (d) => d.addIdentity(text("epoch.identity")));
await staysShut("link", (d) => d.addIdentity(text("device.identity")));

const plain = Buffer.from(`sealed at ${new Date().toISOString()} elsewhere\n`);
const encrypter = new Encrypter();
encrypter.addRecipient(text("device.recipient"));
writeFileSync(join(folder, "theirs.age"), await encrypter.encrypt(plain));
writeFileSync(join(folder, "theirs.plain"), plain);
