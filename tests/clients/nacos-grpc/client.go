// A client of Nacos 2.x and 3.x by github.com/nacos-group/nacos-sdk-go/v2; see README.md.
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

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

func say(answer map[string]any) {
	text, err := json.Marshal(answer)
	check(err)
	fmt.Println(string(text))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func listed(instances []model.Instance) []map[string]any {
	list := []map[string]any{}
	for _, one := range instances {
		list = append(list, map[string]any{"host": one.Ip, "port": one.Port, "metadata": one.Metadata})
	}
	return list
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
			TimeoutMs: 5000, NotLoadCacheAtStart: true, UpdateCacheWhenEmpty: true,
			CacheDir: folder, LogDir: folder, LogLevel: "error",
		},
		ServerConfigs: []constant.ServerConfig{{IpAddr: at, Port: server}},
	})
	check(err)
	self := vo.RegisterInstanceParam{
		Ip: host, Port: port, ServiceName: name, Weight: 1, Enable: true, Healthy: true,
		Ephemeral: true, Metadata: map[string]string{"by": "go"},
	}
	_, err = client.RegisterInstance(self)
	check(err)
	say(map[string]any{"ready": true})
	var seen sync.Map
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		value := words[1]
		switch words[0] {
		case "find":
			// An empty list is an error to this library.
			found, _ := client.SelectInstances(vo.SelectInstancesParam{ServiceName: value, HealthyOnly: true})
			say(map[string]any{"found": listed(found)})
		case "watch":
			check(client.Subscribe(&vo.SubscribeParam{
				ServiceName:       value,
				SubscribeCallback: func(all []model.Instance, _ error) { seen.Store(value, listed(all)) },
			}))
			say(map[string]any{"watching": value})
		case "seen":
			last, _ := seen.Load(value)
			say(map[string]any{"seen": last})
		case "change":
			self.Metadata["said"] = value
			_, err = client.UpdateInstance(vo.UpdateInstanceParam(self))
			check(err)
			say(map[string]any{"changed": true})
		case "status":
			self.Enable = value == "up"
			_, err = client.UpdateInstance(vo.UpdateInstanceParam(self))
			check(err)
			say(map[string]any{"status": value})
		}
	}
	_, err = client.DeregisterInstance(vo.DeregisterInstanceParam{
		Ip: host, Port: port, ServiceName: name, Ephemeral: true,
	})
	check(err)
}
