// The sample in JavaScript of the document of /1.0, as it stands there. What is
// changed: the fields of the form are read from the standard input, a JSON object
// a line, and with them the secret; md5 is Node's, as the document leaves it to be
// found. Each line is answered by one with the fields that the form would send.
//
// With a URL and an encoding ("multipart" or "urlencoded"), the form is sent
// there, and the answer is the status and the body.
const crypto = require("node:crypto");
const readline = require("node:readline");

const md5 = (text) => crypto.createHash("md5").update(text, "utf8").digest("hex");

const document = {};
let secret;

    function handleMyFormSubmit(){
        var mySecretKey = secret;
        var d = new Date(); //Create a date object so we can get a timestamp.
        document.myForm.timestamp.value = d.valueOf();
    
        //Form fields in alphabetical order
        var reqStr = document.myForm.city.value;
        reqStr += document.myForm.description.value;
        reqStr += document.myForm.identity.value;
        reqStr += document.myForm.timestamp.value;
        reqStr += document.myForm.udid.value;
        reqStr += mySecretKey;
        var hash = md5(reqStr);
    
        document.myForm.authtoken.value = hash;

        return true;
    }

function submit(line) {
    const input = JSON.parse(line);
    secret = input.secret;
    // The hidden fields of the sample form, then those of the input.
    document.myForm = { identity: {}, timestamp: { value: "" }, authtoken: { value: "" } };
    for (const [name, value] of Object.entries(input.fields)) {
        document.myForm[name] = { value };
    }
    handleMyFormSubmit();
    const sent = {};
    for (const [name, field] of Object.entries(document.myForm)) {
        sent[name] = String(field.value);
    }
    return sent;
}

async function send(fields, url, encoding) {
    const body = encoding === "multipart" ? new FormData() : new URLSearchParams();
    for (const [name, value] of Object.entries(fields)) {
        body.append(name, value);
    }
    if (encoding === "multipart") {
        body.append("image", new Blob([new Uint8Array([0xff, 0xd8, 0xff, 0x00, 0x0d, 0x0a])], { type: "image/jpeg" }), "photo.jpg");
    }
    const reply = await fetch(url, { method: "POST", body, signal: AbortSignal.timeout(60000) });
    return { status: reply.status, body: await reply.text() };
}

async function main() {
    const [url, encoding] = process.argv.slice(2);
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const fields = submit(line);
        const answer = url ? { fields, ...(await send(fields, url, encoding)) } : { fields };
        process.stdout.write(JSON.stringify(answer) + "\n");
    }
}

main();
