"""Reads a feed, by feedparser, or a property list, by plistlib, from the standard
input, and writes as JSON what it has read."""

import json
import plistlib
import sys


def feed(text):
    import feedparser

    # As the text stands: what is in it is not HTML to be cleaned.
    read = feedparser.parse(text, sanitize_html=False, resolve_relative_uris=False)
    items = []
    for e in read.entries:
        items.append({
            'id': e.get('id'),
            'link': e.get('link'),
            'title': e.get('title'),
            'text': e.content[0].value if 'content' in e else e.get('summary'),
            'type': e.content[0].type if 'content' in e else e.get('summary_detail', {}).get('type'),
            'author': e.get('author'),
            'tags': [t.term for t in e.get('tags', [])],
            'published': list(e.published_parsed[:6]) if e.get('published_parsed') else None,
            'updated': list(e.updated_parsed[:6]) if e.get('updated_parsed') else None,
            'enclosures': [[x.get('href'), x.get('type'), x.get('length')] for x in e.get('enclosures', [])],
            'thumbnail': [x.get('url') for x in e.get('media_thumbnail', [])],
            'point': list(e.where.coordinates) if e.get('where') else None,
        })
    wrong = str(read.bozo_exception) if read.bozo else ''
    return {'wrong': wrong, 'version': read.version, 'title': read.feed.get('title'), 'link': read.feed.get('link'), 'items': items}


text = sys.stdin.buffer.read()
json.dump(plistlib.loads(text) if sys.argv[1] == 'plist' else feed(text), sys.stdout)
