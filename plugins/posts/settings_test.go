package main

import "testing"

func TestASettingThatCannotBeReadFailsTheCall(t *testing.T) {
	for key, values := range map[string][]string{
		"hide_after":    {"x", "-1", "1000001", "1.5"},
		"keep_original": {"yes", "TRUE", "1"},
		"max_image":     {"16MiB", "0", "25165825", "-1"},
	} {
		for _, value := range values {
			d := newDesk(t)
			id := d.post(deskAnn)
			d.Host.Settings[key] = value
			if key == "hide_after" {
				d.wantRefusal(d.call(deskBob, "PUT", "/1.0/posts/"+id, "flag", "1"), 500, "internal")
			} else {
				d.wantRefusal(d.upload(deskAnn, photo(1, 4, 4), "udid", "1"), 500, "internal")
			}
			d.wantList(id)
		}
	}
}

func TestSettingsThatAreEmptyAreTheirDefaults(t *testing.T) {
	d := newDesk(t)
	for _, key := range []string{"hide_after", "keep_original", "max_image"} {
		d.Host.Settings[key] = ""
	}
	id := d.post(deskAnn)
	d.flag(deskBob, id)
	d.flag(deskAnn, id)
	d.wantList(id)
	d.flag(deskApp, id)
	d.wantList("")
}
