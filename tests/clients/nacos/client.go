// A client of Nacos 1.x by github.com/nacos-group/nacos-sdk-go; see README.md.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/nacos-group/nacos-sdk-go/clients"
	"github.com/nacos-group/nacos-sdk-go/common/constant"
	"github.com/nacos-group/nacos-sdk-go/model"
	"github.com/nacos-group/nacos-sdk-go/vo"
)

func say(answer any) {
	text, err := json.Marshal(answer)
	check(err)
	fmt.Println(string(text))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	at, number, _ := strings.Cut(os.Args[1], ":")
	server, err := strconv.ParseUint(number, 10, 16)
	check(err)
	name, host := os.Args[2], os.Args[3]
	port, err := strconv.ParseUint(os.Args[4], 10, 16)
	check(err)
	folder, err := os.MkdirTemp("", "nacos")
	check(err)
	defer os.RemoveAll(folder)
	client, err := clients.NewNamingClient(vo.NacosClientParam{
		ClientConfig: &constant.ClientConfig{
			TimeoutMs: 5000, BeatInterval: 1000, NotLoadCacheAtStart: true, UpdateCacheWhenEmpty: true,
			CacheDir: folder, LogDir: folder, LogLevel: "error",
		},
		ServerConfigs: []constant.ServerConfig{{IpAddr: at, Port: server, ContextPath: "/nacos"}},
	})
	check(err)
	// The server says how often, which is each five seconds unless the metadata do.
	metadata := map[string]string{
		"by": "go", "preserved.heart.beat.timeout": "3000", "preserved.heart.beat.interval": "1000",
	}
	_, err = client.RegisterInstance(vo.RegisterInstanceParam{
		Ip: host, Port: port, ServiceName: name, Weight: 1, Enable: true, Healthy: true,
		Ephemeral: true, Metadata: metadata,
	})
	check(err)
	say(map[string]bool{"ready": true})
	update := func(enable bool) {
		_, err := client.UpdateInstance(vo.UpdateInstanceParam{
			Ip: host, Port: port, ServiceName: name, Weight: 1, Enable: enable, Ephemeral: true, Metadata: metadata,
		})
		check(err)
	}
	var seen sync.Map
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		value := words[1]
		switch words[0] {
		case "find":
			found := []map[string]any{}
			// An empty list is an error to this library.
			all, _ := client.SelectInstances(vo.SelectInstancesParam{ServiceName: value, HealthyOnly: true})
			for _, one := range all {
				found = append(found, map[string]any{"host": one.Ip, "port": one.Port, "metadata": one.Metadata})
			}
			say(map[string]any{"found": found})
		case "watch":
			check(client.Subscribe(&vo.SubscribeParam{
				ServiceName: value,
				SubscribeCallback: func(all []model.SubscribeService, _ error) {
					list := []map[string]any{}
					for _, one := range all {
						list = append(list, map[string]any{"host": one.Ip, "port": one.Port, "metadata": one.Metadata})
					}
					seen.Store(value, list)
				},
			}))
			say(map[string]any{"watching": value})
		case "seen":
			last, _ := seen.Load(value)
			say(map[string]any{"seen": last})
		case "change":
			metadata["said"] = value
			update(true)
			say(map[string]any{"changed": true})
		case "status":
			update(value == "up")
			say(map[string]any{"status": value})
		}
	}
	_, err = client.DeregisterInstance(vo.DeregisterInstanceParam{
		Ip: host, Port: port, ServiceName: name, Ephemeral: true,
	})
	check(err)
}
