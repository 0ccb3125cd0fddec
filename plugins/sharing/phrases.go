package main

import "strconv"

// Phrases are what is built in of the templates of one language. They hold in HTML as
// they stand. What they say is neutral: of whom nothing is known but a name.
type phrases struct {
	tag     string // of the language
	someone string // a sender without a name; "": the service
	lasts   string // before a duration
	units   units
	subject string
	hello   string
	shares  string
	quote   string // of the sharer's message
	open    string
	button  string
	why     string // the mail was sent
	sms     string
	client  string // what the sharer sends
}

// spoken returns the phrases of a language. Where none are built in they are English,
// but for those that an operator's template in that language may hold.
func spoken(tag string) *phrases {
	for ; tag != ""; tag = broader(tag) {
		switch tag {
		case "en":
			return english()
		case "de":
			return german()
		case "fr":
			return french()
		case "es":
			return spanish()
		}
	}
	p := english()
	p.tag, p.someone, p.lasts, p.units = "", "", "", units{{"d", "d"}, {"h", "h"}, {"min", "min"}}
	return p
}

func english() *phrases {
	return &phrases{
		tag: "en", someone: "Someone", lasts: "for ",
		units:   units{{"day", "days"}, {"hour", "hours"}, {"minute", "minutes"}},
		subject: "{sender} is sharing their location with you",
		hello:   "Hello {recipient},",
		shares:  "{sender} is sharing their location with you {until}.",
		quote:   "“{message}”",
		open:    "Open the link to follow on a map. You need no account.",
		button:  "Show the map",
		why:     "You get this mail because somebody has given your address to {service}. If you do not know who, ignore it.",
		sms:     "{sender} is sharing their location with you: {link}",
		client:  "Follow me on a map: {link}",
	}
}

func german() *phrases {
	return &phrases{
		tag: "de", someone: "Jemand", lasts: "für ",
		units:   units{{"Tag", "Tage"}, {"Stunde", "Stunden"}, {"Minute", "Minuten"}},
		subject: "{sender} teilt den eigenen Standort mit dir",
		hello:   "Hallo {recipient},",
		shares:  "{sender} teilt {until} den eigenen Standort mit dir.",
		quote:   "„{message}“",
		open:    "Mit dem Link siehst du ihn auf einer Karte. Du brauchst kein Konto.",
		button:  "Karte anzeigen",
		why:     "Du bekommst diese E-Mail, weil jemand {service} deine Adresse angegeben hat. Wenn du nicht weißt, wer, beachte sie nicht.",
		sms:     "{sender} teilt den eigenen Standort mit dir: {link}",
		client:  "Hier kannst du mir auf einer Karte folgen: {link}",
	}
}

func french() *phrases {
	return &phrases{
		tag: "fr", someone: "Quelqu’un", lasts: "pendant ",
		units:   units{{"jour", "jours"}, {"heure", "heures"}, {"minute", "minutes"}},
		subject: "{sender} partage sa position avec vous",
		hello:   "Bonjour {recipient},",
		shares:  "{sender} partage sa position avec vous {until}.",
		quote:   "« {message} »",
		open:    "Ouvrez le lien pour la suivre sur une carte. Aucun compte n’est nécessaire.",
		button:  "Voir la carte",
		why:     "Vous recevez ce message parce que quelqu’un a donné votre adresse à {service}. Si vous ne savez pas qui, n’en tenez pas compte.",
		sms:     "{sender} partage sa position avec vous : {link}",
		client:  "Suivez-moi sur une carte : {link}",
	}
}

func spanish() *phrases {
	return &phrases{
		tag: "es", someone: "Alguien", lasts: "durante ",
		units:   units{{"día", "días"}, {"hora", "horas"}, {"minuto", "minutos"}},
		subject: "{sender} comparte su ubicación contigo",
		hello:   "Hola, {recipient}:",
		shares:  "{sender} comparte su ubicación contigo {until}.",
		quote:   "«{message}»",
		open:    "Abre el enlace para seguirla en un mapa. No necesitas ninguna cuenta.",
		button:  "Ver el mapa",
		why:     "Recibes este mensaje porque alguien ha dado tu dirección a {service}. Si no sabes quién, no le hagas caso.",
		sms:     "{sender} comparte su ubicación contigo: {link}",
		client:  "Sígueme en un mapa: {link}",
	}
}

// template returns what is built in of a part.
func (p *phrases) template(part string) string {
	switch part {
	case partSubject:
		return p.subject
	case partText:
		return p.hello + "\n\n" + p.shares + "\n{link}\n\n" + p.quote + "\n\n" + p.open + "\n\n-- \n" + p.why
	case partHTML:
		return p.html()
	case partClient:
		return p.client
	}
	return p.sms + "\n" + p.quote
}

// html is a mail for programs of all kinds: styles stand with their elements, nothing
// is loaded, and colours but those of the button are the program's, light or dark.
func (p *phrases) html() string {
	lang := p.tag
	if lang == "" {
		lang = fallbackLanguage
	}
	return `<!doctype html>
<html lang="` + lang + `">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>` + p.subject + `</title>
</head>
<body style="margin:0;padding:24px 16px">
<div style="max-width:480px;margin:0 auto;font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-height:1.5">
<p style="margin:0 0 16px">` + p.hello + `</p>
<p style="margin:0 0 16px">` + p.shares + `</p>
<p style="margin:0 0 16px;padding:0 0 0 12px;border-left:4px solid #1a66d6">` + p.quote + `</p>
<p style="margin:24px 0"><a href="{link}" style="display:inline-block;padding:12px 24px;border-radius:8px;background-color:#1a66d6;color:#ffffff;font-weight:600;text-decoration:none">` + p.button + `</a></p>
<p style="margin:0 0 16px">` + p.open + `</p>
<p style="margin:0 0 16px;word-break:break-all">{link}</p>
<hr style="margin:24px 0 16px;border:0;border-top:1px solid #8a8f98">
<p style="margin:0;font-size:13px">` + p.why + `</p>
</div>
</body>
</html>`
}

// A unit of time, as one and as many.
type unit struct{ one, many string }

// units are days, hours and minutes.
type units [3]unit

// last says how long a ticket lasts, "" if it does not.
func (p *phrases) last(left int64) string {
	minutes := (left + minute/2) / minute
	switch {
	case left <= 0:
		return ""
	case minutes < 60:
		return p.lasts + p.units[2].of(max(1, minutes))
	case minutes < 48*60:
		minutes = (minutes + 2) / 5 * 5
		return p.lasts + p.units[1].of(minutes/60) + p.units[2].and(minutes%60)
	}
	hours := (minutes + 30) / 60
	return p.lasts + p.units[0].of(hours/24) + p.units[1].and(hours%24)
}

func (u unit) of(n int64) string {
	word := u.many
	if n == 1 {
		word = u.one
	}
	return strconv.FormatInt(n, 10) + " " + word
}

// and is of for a smaller unit behind a larger one, which may be missing.
func (u unit) and(n int64) string {
	if n == 0 {
		return ""
	}
	return " " + u.of(n)
}
